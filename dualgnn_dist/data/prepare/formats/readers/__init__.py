"""What several formats read with.

columns           interactions in named columns
times             the moments of interactions, to their last digit
row_ids           ids that are row indices
feature_files     modalities in files beside the interactions
parquet_modality  a modality in a Parquet file
lists             a modality in a column of lists: vectors or tokens
words             lists of words as tokens
json_records      a text file of one JSON object a line
tensor            a modality in a matrix: a `.npy` array or a `.pt` tensor
"""
