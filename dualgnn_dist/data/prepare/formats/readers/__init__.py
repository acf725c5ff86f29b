"""What several formats read with.

columns           interactions in named columns
clock             a column of moments: what it is made of, and that it is one thing
iso               moments in texts: ISO 8601
times             the moments of interactions, to their last digit
nulls             rows that lack a value
expression        which rows are interactions, and what they weigh, in SQL
row_ids           ids that are row indices
feature_files     modalities in files beside the interactions
column_modality   a modality in a column of a table
array_files       a matrix in a `.npz` or `.safetensors` file
lists             a modality in a column of lists: vectors or tokens
words             lists of words as tokens
unpickle          pickled files; nothing in them is run
tensor            a modality in a matrix: a `.npy` array or a `.pt` tensor
"""
