"""A run's vectors for other programs: one row a user or item, in the order of the store, beside its raw id.

files    vectors as Parquet, NumPy and safetensors files
indexes  FAISS indexes of the items, and how much an approximate one finds
folder   the folder of all this, which appears whole
"""
