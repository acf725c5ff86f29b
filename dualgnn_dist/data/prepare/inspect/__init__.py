"""What a file of interactions looks like, and the config that prepares it.

inspection   a file -> its page
sources      which format a file or a folder is for
text_layout  how a text file is written: encoding, separator, header
profile      what stands in each column
roles        which column is which
facts        what the format makes of it: users, items, duplicates, cores
beside       what is known of the items: files beside it, and modalities that are named
suggestions  what could be set beside what is
page         the YAML, and what was seen as its comments
"""
