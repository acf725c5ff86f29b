"""Who hears of a run while it trains.

telemetry    what a run measures of itself, and how it reaches those who listen
tensorboard  curves in the run's folder
trackers     MLflow and Weights & Biases
"""
