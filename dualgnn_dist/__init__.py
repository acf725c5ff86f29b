"""Distributed training of multimodal graph recommenders: DualGNN and its baselines, from store to full ranking."""

__version__ = "0.1.0"
