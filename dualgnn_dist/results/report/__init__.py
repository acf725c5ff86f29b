"""Runs and sweeps as one HTML page each, with nothing to load: what `report` writes."""
