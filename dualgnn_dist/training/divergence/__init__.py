"""A training that leaves the finite numbers: noticed at no cost to a step, and told with what was in the batch.

watch   one number a step, looked at where workers meet anyway
record  what of a step's batch is extreme, written into the run folder and said in a sentence
"""
