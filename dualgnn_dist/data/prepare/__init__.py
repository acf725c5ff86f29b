"""Raw data -> store. The steps, each a file, and what they hand on:

formats/      input files -> RawData: blocks of interactions and features under raw ids
unpickle      what a format reads pickled files with; nothing in them is run
ids           raw ids -> InteractionTable of row indices; lookup finds an id's row
scratch       where what is as long as the interactions lies: on the disk
filter        duplicates, k-core
split         which interactions train
graph         both sparse directions of the training interactions
cooccurrence  users that share items: by counters, or by bit_counting (on bit_vectors), in blocks over a block_map
features      modalities in item order
pipeline      all of it, in this order, into a StoreWriter
"""
