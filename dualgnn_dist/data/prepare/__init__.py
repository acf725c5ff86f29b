"""Raw data -> store. The steps, each a file, and what they hand on.

config         the `prepare` section of a config
fetching       raw data behind URLs
formats        input files -> RawData: blocks of interactions and features under raw ids
frames         polars, with which formats read tables
raw_data       what a format yields
reading        how formats read files, and what they refuse
tabular        files in columns, of whatever kind
ids            raw ids -> row indices
lookup         an id's row
interactions   interactions as columns of row indices
scratch        where what is as long as the interactions lies: on the disk
filter         duplicates, k-core
split          which interactions train
counting_sort  both sparse directions of the training interactions
cooccurrence   users that share items
content        the catalogue: which items, and their modalities
writing        interactions and graphs as tables of the store
pipeline       all of it, in this order, into a StoreWriter
inspect        what a file looks like, and the config that fits it
"""
