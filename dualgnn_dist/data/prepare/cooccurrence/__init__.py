"""How many training items two users share, and each user's heaviest neighbours.

counters     the counting, user by user
bit_vectors  items of many users as bits of a vector
bit_planes   the counting of heavy users, bit-sliced
blocks       blocks of users handed to threads or to a cluster
"""
