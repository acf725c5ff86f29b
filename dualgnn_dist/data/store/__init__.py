"""The Arrow store: an immutable folder of memory-mapped shards, opened in milliseconds whatever its size.

schema     what the manifest says
writer     shards into a hidden folder, the manifest last, one rename
removal    which files of a store may be deleted: those that are its own
columns    columns over shards: numbers and features
staging    a store behind a URL: copied to a node once, checked, and uploaded
id_lookup  a raw id's row, or the nearest id
reader     `Store`: graphs, interactions, held-out items, features and ids of a folder
"""
