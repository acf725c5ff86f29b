"""What several formats read with.

columns   named columns of a table file
lists     lists of ids in text files
parquet   Parquet files
tensor    dense arrays from `.npy`
"""
