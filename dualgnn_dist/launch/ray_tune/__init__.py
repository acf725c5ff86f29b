"""A sweep under Ray Tune.

sweep    from its config to the best run and its test metrics
study    Optuna's study: which points come next
trials   each trial is a run
records  what is kept and said of a trial that ends
figures  pictures of the study
"""
