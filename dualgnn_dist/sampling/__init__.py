"""(epoch, step) -> Batch, made ahead of time by threads.

A pure function of the store, the settings, the seed and (epoch, step).

1 order      which interactions: this worker's slice of the global batch         -> users, positives [B]
2 negatives  + items outside each user's training row                            -> negatives [B, N]
3 co_users   + users who share items with the batch's                            -> rows of co-users with weights
4 hops       the layered neighbourhood of all of them                            -> Subgraph
  draws      how a node chooses among its neighbours
  loader     these, then the items' content (`data.store.columns`), prefetched   -> Batch
  config     the `sampler` section of a config
"""
