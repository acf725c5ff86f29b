"""Lists of items out of a finished run.

lists       what is asked for, and lists as arrays           -> an Arrow table
opened_run  a run with its store and vectors in memory       -> users' lists, similar items
output      lists                                            -> a Parquet file or JSON lines
screen      what `recommend` shows
"""
