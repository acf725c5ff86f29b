"""A sweep under Ray Tune.

sweep     from its config to the best run and its test metrics
storage   the database of the study, and whose the study is
study     Optuna's study: which points come next, how each ended
trials    each trial is a run
records   what is kept and said of a trial, however it ends
failures  what Ray writes of a failure, as one sentence
waiting   what a sweep waits for, none of whose trials runs
stop      SIGTERM and Ctrl-C
figures   pictures of the study
"""
