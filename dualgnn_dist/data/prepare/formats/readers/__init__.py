"""What several formats read with.

columns        interactions in named columns
times          the moments of interactions, to their last digit
row_ids        ids that are row indices
feature_files  modalities in files beside the interactions
text           a text file in columns
records        where in a text the records and their values stand
chunks         a text file's bytes, piece by piece
parquet        a Parquet file in columns, and a modality in one
lists          a modality in a column of lists: vectors or tokens
tensor         a modality in a matrix: a `.npy` array or a `.pt` tensor
"""
