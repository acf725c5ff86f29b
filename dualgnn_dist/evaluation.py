"""Full ranking of one split: every worker ranks its own users, then sums and counts meet once."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from dualgnn_dist import metrics
from dualgnn_dist.inference import Representations
from dualgnn_dist.ranking import top_k
from dualgnn_dist.store.reader import Store
from dualgnn_dist.world import World

BLOCK = 16_384  # users ranked at a time: bounds the memory for lists and metrics

Split = Literal["valid", "test"]


def evaluate(
    representations: Representations,
    store: Store,
    split: Split,
    ks: tuple[int, ...],
    convention: metrics.NdcgConvention,
    world: World,
) -> dict[str, float]:
    """Means over the split's users of every metric at every K, and `num_users`. The same on every worker.

    All items are ranked but a user's training items, and when testing its validation items too; the held-out items of
    the other split are candidates like any other. Users without a held-out item do not count.

    Raises:
        UserError: no user has a held-out item.
    """
    totals = dict.fromkeys([*metrics.metric_keys(ks), "num_users"], 0.0)
    for start in range(0, len(representations.user_rows), BLOCK):
        users = representations.user_rows[start : start + BLOCK].numpy().astype(np.int32)
        offsets, held_out = store.held_out(split, users)
        counted = np.flatnonzero(np.diff(offsets))  # ranking a user without held-out items would tell nothing
        if not len(counted):
            continue
        vectors = representations.users[start : start + BLOCK][torch.from_numpy(counted)]
        excluded = seen_items(store, users[counted], split)
        ranked, _ = top_k(vectors, representations.items, excluded, max(ks), num_threads=world.num_threads)
        held_offsets = np.append(offsets[counted], offsets[-1])
        for name, value in metrics.sums(metrics.user_metrics(ranked, (held_offsets, held_out), ks, convention)).items():
            totals[name] += value
    summed = world.sum(torch.tensor(list(totals.values()), dtype=torch.float64, device=world.device)).tolist()
    totals = dict(zip(totals, summed, strict=True))
    return {**metrics.means(totals), "num_users": totals["num_users"]}


def seen_items(store: Store, users: np.ndarray, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """What is not to be recommended to ascending int32 `users`: offsets int64 [n + 1], items int32 sorted per user."""
    offsets, items = store.user_item.gather(users)
    if split == "valid":
        return offsets, items
    valid_offsets, valid_items = store.held_out("valid", users)
    rows = np.concatenate([np.repeat(np.arange(len(users)), np.diff(part)) for part in (offsets, valid_offsets)])
    both = np.concatenate([items, valid_items])
    return offsets + valid_offsets, both[np.lexsort((both, rows))]
