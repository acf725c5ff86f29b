"""What everybody watches: the list that needs no training, and that a model has to beat."""

from __future__ import annotations

import numpy as np
import torch

from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.representations import Representations

NAME = "popularity"


def by_popularity(store: Store, world: World) -> Representations:
    """Vectors of one number, by which every user's list is the items of most training interactions, the most first.

    So the baseline is ranked and counted by the code that ranks models: the same candidates, the same left out. Of
    items with as many interactions the one of the smaller index comes first, as in every ranking here. An item's number
    is its place, counted from the top and below 0, rather than its interactions: float32 holds 2^24 places exactly, and
    of more items those run together that nobody is shown.

    Returns:
        users float32 [n, 1], all 1, of this worker's users; items float32 [I, 1].
    """
    degrees = store.item_user.degrees()
    places = np.empty(len(degrees), dtype=np.float32)
    places[np.argsort(-degrees.astype(np.int64), kind="stable")] = -np.arange(len(degrees))
    rows = torch.arange(world.rank, store.manifest.num_users, world.size)
    users = torch.ones(len(rows), 1, device=world.device)
    return Representations(rows, users, torch.from_numpy(places).unsqueeze(1).to(world.device))
