"""Files in columns, of whatever kind: chosen columns come in blocks, every row with its place in words.

opening     a file by its ending
rows        what all kinds have in common
text        a text file
json_lines  a file of JSON objects
parquet     a Parquet file
arrow       an Arrow file
parts       several files as one
memory      a table of a Python program
header      what looks wrong with the names of columns
records     where in a text the records and their values stand
chunks      a text's bytes, piece by piece
plain       a file's text: unpacked and decoded
archive     a file inside a zip archive
ahead       work that goes on while the last piece of it is used
"""
