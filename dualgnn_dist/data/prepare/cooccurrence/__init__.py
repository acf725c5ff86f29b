"""How many training items two users share, and each user's heaviest neighbours.

graph          the graph, a shard of users after the other: which blocks there are, which way a user is counted
blocks         blocks of users handed to threads or to a cluster
counters       the usual way: a counter a user
bitmaps        the other way: the users of popular items as bits
bit_planes     these bits added up, so that plane l holds bit l of every user's count
bit_selection  the heaviest by those planes
bit_vectors    512 bits at a time
"""
