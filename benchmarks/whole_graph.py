"""The rival of sampling: every batch propagates the whole graph, as the released code and most toolkits do.

The same model, loss, tables and optimizer; only the neighbourhood of a batch is everything there is.
"""

from __future__ import annotations

import numpy as np
import torch

from dualgnn_dist.base.batch import Batch, Hop, Neighborhood, Subgraph
from dualgnn_dist.base.sparse import SparseRows, sparse_rows, transpose
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.models import Recommender
from dualgnn_dist.models.co_users import exact_co_users
from dualgnn_dist.sampling.loader import Loader


def whole_graph(store: Store, model: Recommender) -> Neighborhood:
    """Every user and item as a seed, every edge in every hop, every co-user that the model reads."""
    num_users, num_items = store.manifest.num_users, store.manifest.num_items
    users, items = np.arange(num_users, dtype=np.int32), np.arange(num_items, dtype=np.int32)
    offsets, neighbors = store.user_item.gather(users)
    to_users = sparse_rows(offsets.astype(np.int32), neighbors, num_items)
    degrees = [torch.from_numpy(graph.degrees()) for graph in (store.user_item, store.item_user)]
    hop = Hop(to_users, transpose(to_users), *((degree > 0).float() for degree in degrees))
    reach = [(size,) * (model.num_hops + 1) for size in (num_users, num_items)]
    subgraph = Subgraph(
        torch.from_numpy(users), torch.from_numpy(items), *degrees, *reach, (hop,) * model.num_hops
    )  # fmt: skip
    features = {name: store.features(name).gather(items) for name in model.modalities}
    return Neighborhood(subgraph, _co_users(store, model, users), features)


def _co_users(store: Store, model: Recommender, users: np.ndarray) -> SparseRows | None:
    if model.co_users is None:
        return None
    rows = exact_co_users(store.user_cooccurrence, users, model.co_users)
    return sparse_rows(rows.offsets, rows.neighbors, len(users), rows.weights)


def whole_graph_batch(loader: Loader, around: Neighborhood, epoch: int, step: int) -> Batch:
    """The same triples as the loader's, in the whole graph: a position is an id."""
    users, positives, negatives = (torch.from_numpy(ids).long() for ids in loader.triples(epoch, step))
    return Batch(users, positives, negatives, around, loader.global_size(step))
