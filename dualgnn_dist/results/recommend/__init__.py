"""Lists of items out of a finished run.

opened_run  a run with its store and vectors in memory       -> users' lists, similar items
raw_ids     raw ids as people type them, or a file of them   -> rows
output      lists                                            -> a Parquet file or JSON lines
screen      what `recommend` shows
"""
