"""(epoch, step) -> Batch, made ahead of time by threads.

A pure function of the store, the settings, the seed and (epoch, step).

order      1: which interactions, this worker's slice of the global batch             -> users, positives [B]
negatives  2: items outside each user's training row                                  -> negatives [B, N]
wanted     the distinct users and items of the triples, and what is excluded of them  -> Wanted
co_users   3: users who share items with the wanted                                   -> CoUserRows with weights
hops       4: the layered neighbourhood of all of them                                -> Subgraph
draws      how a node chooses among its neighbours
loader     these, then 5: the items' content (`data.store.columns`), prefetched       -> Batch
config     the `sampler` section of a config
"""
