"""Exact representations, exact lists, metrics.

inference        all of a model's representations, layer by layer                -> Representations
representations  what they consist of, and the files they are kept in
top_k            every user's best items, exactly                                -> int32 [n, K]
metrics          hits -> precision, recall, NDCG, ...                            -> sums and counts
evaluate         the three in a row for one split                                -> means
beyond           how many items the lists reach, how evenly, how well known       -> figures
popularity       the list of what everybody watches, as vectors                  -> Representations
config           the `evaluation` section of a config                            -> Protocol
"""
