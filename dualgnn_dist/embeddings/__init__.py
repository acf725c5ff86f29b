"""Embedding rows on the workers that own them, and the Adam that moves only those a step touched.

config         the `tables` and `optimizer` sections of a config
routing        which worker is asked for which row
sharded_table  fetch and apply_gradients
adam           what an update makes of a row
"""
