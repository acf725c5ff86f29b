"""Sampling of batches: pure functions of (seed, epoch, step, slot)."""
