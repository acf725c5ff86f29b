"""Files in columns, of whatever kind: chosen columns come in blocks, every row with its place in words.

opening  a file by its ending
rows     what all kinds have in common
text     a text file
records  where in a text the records and their values stand
chunks   a text file's bytes, piece by piece
parquet  a Parquet file
archive  a file inside a zip archive
"""
