"""What several formats read with.

columns  interactions in named columns, and the files of modalities beside them
parquet  a modality in a Parquet file
lists    a modality in a column of lists: vectors or tokens
tensor   a modality in a matrix: a `.npy` array or a `.pt` tensor
"""
