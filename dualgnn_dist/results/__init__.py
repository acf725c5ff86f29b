"""Finished runs read back.

finished_run    a run's folder, checked
run_files       what a run's folder holds while it trains
finished_sweep  a sweep's folder
metrics_table   metrics on the screen
sweep_table     a sweep on the screen
figures         pictures as PNG files
compare         runs side by side, tested over users
explain         what a run learned of its users
report          a run or a sweep as one HTML page
"""
