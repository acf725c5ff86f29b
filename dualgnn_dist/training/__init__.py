"""One run: from a config to a trained state and its test metrics.

config      the sections of a run, and all of them together
load        YAML, overrides and defaults -> one checked `RunConfig`
run_folder  the run's folder
run_at_url  the same at a URL
checkpoint  the state in shards, written whole
state       model, tables and optimizers
trainer     the loop
progress    where a run is, beside its weights
stop        all workers agree on the step to stop after
telemetry   what a run measures of itself
trackers    MLflow and Weights & Biases
worker      one worker from its first line to its last
sweep       what a sweep tries, and its folder
"""
