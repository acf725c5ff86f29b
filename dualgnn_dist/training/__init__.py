"""One run: from a config to a trained state and its test metrics.

config      the sections of a run, and all of them together
settings    what settings there are, and what one that is none was meant to be
load        YAML, overrides and defaults -> one checked `RunConfig`
run         where a run lies, and which checkpoints it has
run_folder  its folder
run_at_url  its copy at a URL
checkpoint  the state in shards, written whole, checked when it is read
resume      the newest checkpoint that is whole
state       model, tables and optimizers
host        what a worker is given by whatever started it
trainer     the loop
evaluator   the state ranked
recorder    what is said and written while it goes on
progress    where a run is, beside its weights
stop        all workers agree on the step to stop after
divergence  a step that is not finite, noticed and told
listeners   what a run measures of itself, and who hears of it
worker      one worker from its first line to its last
sweep       what a sweep tries, and its folder
"""
