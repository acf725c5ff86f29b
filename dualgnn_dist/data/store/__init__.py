"""The Arrow store: an immutable folder of memory-mapped shards, opened in milliseconds whatever its size.

schema     what the manifest says
tables     the tables that a store has, and whether the manifest's numbers fit each other
shards     one file: mapped, and compared with the manifest by its footer or by every byte
stamps     what a node has read already
verify     a whole store read, and what is wrong with each file
checks     `ContentCheck`: every file read once on each node
writer     shards into a hidden folder, the manifest last, one rename
removal    which files of a store may be deleted: those that are its own
columns    columns over shards: numbers and features
staging    a store behind a URL: copied to a node once, checked, and uploaded
id_lookup  a raw id's row, or the nearest id
reader     `Store`: graphs, interactions, held-out items, features and ids of a folder
"""
