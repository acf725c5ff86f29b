"""Full ranking of one split: every worker ranks its own users, then sums and counts meet once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from dualgnn_dist.base.liveness.heartbeat import beat
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation import metrics
from dualgnn_dist.evaluation.config import Candidates, Protocol, Split
from dualgnn_dist.evaluation.representations import Representations
from dualgnn_dist.evaluation.top_k import top_k

# The held-out splits that lie before the one that is ranked; training lies before all.
_BEFORE: dict[Split | None, tuple[str, ...]] = {"valid": (), "test": ("valid",), None: ("valid", "test")}
Watch = Callable[[np.ndarray], None]
BLOCK = 16_384  # users ranked at a time: bounds the memory for lists and metrics


def evaluate(
    representations: Representations, store: Store, protocol: Protocol, world: World, watch: Watch = lambda lists: None
) -> dict[str, float]:
    """Means over the split's users of every metric at every K, and `num_users`. The same on every worker.

    All candidates are ranked but a user's training items, and when testing its validation items too; the held-out items
    of the other split are candidates like any other. Users without a held-out candidate do not count.

    Args:
        watch: sees the lists, int32 [n, max K] positions among the candidates, of this worker's users block by block.

    Raises:
        UserError: no user has a held-out candidate.
    """
    totals = dict.fromkeys([*metrics.metric_keys(protocol.ks), "num_users"], 0.0)
    for _, values in rank_users(representations, store, protocol, world, watch):
        for name, value in metrics.sums(values).items():
            totals[name] += value
    summed = world.sum(torch.tensor(list(totals.values()), dtype=torch.float64, device=world.device)).tolist()
    totals = dict(zip(totals, summed, strict=True))
    return {**metrics.means(totals), "num_users": totals["num_users"]}


def rank_users(
    representations: Representations, store: Store, protocol: Protocol, world: World, watch: Watch = lambda lists: None
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Every metric of this worker's users, block by block; no communication. See `evaluate`.

    Yields:
        users int32 [n], ascending, those with a held-out candidate; `name@k` -> float64 [n].
    """
    split, ks, num_items = protocol.split, protocol.ks, store.manifest.num_items
    candidates = candidate_items(store, protocol.candidates)
    item_vectors = representations.items if candidates is None else representations.items[torch.from_numpy(candidates)]
    for start in range(0, len(representations.user_rows), BLOCK):
        users = representations.user_rows[start : start + BLOCK].numpy().astype(np.int32)
        offsets, held_out = among(candidates, *store.held_out(split, users), num_items)
        beat()
        places = np.flatnonzero(np.diff(offsets))  # ranking a user without held-out items would tell nothing
        if not len(places):
            continue
        vectors = representations.users[start : start + BLOCK][torch.from_numpy(places)]
        excluded = among(candidates, *seen_items(store, users[places], split), num_items)
        ranked, _ = top_k(vectors, item_vectors, excluded, max(ks), num_threads=world.num_threads)
        watch(ranked)
        held_out_offsets = np.append(offsets[places], offsets[-1])
        yield users[places], metrics.user_metrics(ranked, (held_out_offsets, held_out), ks, protocol.ndcg_convention)


def candidates_of(store: Store, ranks_cold_items: bool) -> tuple[Candidates, ...]:
    """What is to be ranked on a store: the first is what a run is judged by, the others are told beside it.

    A store that holds out whole items is also ranked without them, and with them alone; one that keeps items without an
    interaction, which nobody's held-out items are among, also without them. A model that knows an item by its
    interactions only has nothing to rank new items by: it is judged by the others.
    """
    if not store.manifest.has_unseen_items:
        return ("all",)
    if not ranks_cold_items:
        return ("warm",)
    return ("all", "warm", "cold") if store.manifest.holds_out_items else ("all", "warm")


def candidate_items(store: Store, candidates: Candidates) -> np.ndarray | None:
    """The candidates, int64 ascending; None for all items."""
    if candidates == "all":
        return None
    return np.flatnonzero((store.item_user.degrees() > 0) == (candidates == "warm"))


def seen_items(store: Store, users: np.ndarray, split: Split | None) -> tuple[np.ndarray, np.ndarray]:
    """What is not to be recommended to ascending int32 `users`: offsets int64 [n + 1], items int32 sorted per user.

    Args:
        split: the one that is ranked, whose items count as not seen yet; None where all splits are past.
    """
    parts = [store.user_item.gather(users)]
    parts += [store.held_out(name, users) for name in _BEFORE[split]]
    if len(parts) == 1:
        return parts[0]
    rows = np.concatenate([np.repeat(np.arange(len(users)), np.diff(offsets)) for offsets, _ in parts])
    items = np.concatenate([items for _, items in parts])
    total = np.sum([offsets for offsets, _ in parts], axis=0)
    return total, items[np.lexsort((items, rows))]


def among(
    candidates: np.ndarray | None, offsets: np.ndarray, items: np.ndarray, num_items: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of items with the positions in `candidates` in their place, without those that are not there.

    Args:
        candidates: int64 ascending, as of `candidate_items`; None for all items.
        offsets: int64 [n + 1] into `items`.
    """
    if candidates is None:
        return offsets, items
    position_of_item = np.full(num_items, -1, dtype=np.int32)
    position_of_item[candidates] = np.arange(len(candidates), dtype=np.int32)
    positions = position_of_item[items]
    num_before = np.concatenate([[0], np.cumsum(positions >= 0)])
    return num_before[offsets], positions[positions >= 0]
