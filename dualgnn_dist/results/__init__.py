"""Finished runs read back.

finished_run       a run's folder or URL: config, metrics, vectors
chosen_checkpoint  the one that is ranked again
run_record         the same while it trains, with its history
per_user           every user's own metrics, from the vectors
finished_sweep     a sweep's folder
raw_ids            users and items as people name them
metrics_table      a run's metrics on the screen
sweep_table        a sweep's trials and winner on the screen
figures            pictures as PNG files
compare            runs side by side, tested over users
recommend          lists for users, items like an item
vectors            a run's vectors for other programs
explain            what a run learned of its users
report             a run or a sweep as one HTML page
"""
