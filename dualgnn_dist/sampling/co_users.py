"""Step 3 of a mini-batch: which co-users of a user are read, and with what weight.

The exact aggregation is `h(u) = sum_v s(u, v) g(v)` over the K heaviest neighbours of the co-occurrence graph. The
estimate takes the heavier half of the wanted number exactly, and draws the other half from the remaining neighbours in
proportion to their weights, each draw standing for an equal share of the weight that remains: its expectation is h(u).
One draw falls in each equal slice of the cumulative weight, which is unbiased as independent draws are, with less
variance.
"""

from __future__ import annotations

import numpy as np

from dualgnn_dist.base.csr import CSRHandle, ShardedCSR, contains
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.randomness import CO_USERS, mix, unit
from dualgnn_dist.base.sparse import SparseRows, sparse_rows
from dualgnn_dist.models.co_users import WEIGHTINGS, CoUserRows, Weighting, heaviest, weigh
from dualgnn_dist.sampling.draws.independent import NOTHING_EXCLUDED, Excluded


def sample_co_users(
    cooccurrence: ShardedCSR,
    users: np.ndarray,
    max_neighbors: int,
    weighting: Weighting,
    num_drawn: int,
    key: int,
    user_item: ShardedCSR | None = None,
    excluded: Excluded = NOTHING_EXCLUDED,
) -> CoUserRows:
    """Co-users of int32 `users` [n] and their weights: a pure function of the user and the uint64 `key` of the step.

    Args:
        cooccurrence: neighbours in order of falling count, with counts.
        max_neighbors: K, of the stored neighbours the heaviest that count.
        num_drawn: at most so many co-users a user; -1 takes all K with their exact weights.
        user_item: needed where items are excluded.
        excluded: training items of the first users that are taken as unknown: they do not count as shared.
    """
    neighbors, counts, lengths = heaviest(cooccurrence.handle, users, max_neighbors)
    if len(excluded.ids):
        assert user_item is not None
        _uncount(user_item.handle, excluded, neighbors, counts, lengths)
    offsets = np.zeros(len(users) + 1, dtype=np.int32)
    np.cumsum(lengths if num_drawn < 0 else np.minimum(lengths, num_drawn), out=offsets[1:])
    chosen = np.empty(offsets[-1], dtype=np.int32)
    weights = np.empty(offsets[-1], dtype=np.float32)
    co_user_key = np.uint64(mix(np.uint64(key), CO_USERS))
    _sample(users, neighbors, counts, lengths, WEIGHTINGS[weighting], co_user_key, offsets, chosen, weights)
    return CoUserRows(offsets, chosen, weights)


@kernel
def _uncount(
    user_item: CSRHandle, excluded: Excluded, neighbors: np.ndarray, counts: np.ndarray, lengths: np.ndarray
) -> None:
    """Takes excluded items out of the counts, drops neighbours that shared nothing else, restores the falling order."""
    for k in range(len(excluded.offsets) - 1):
        ids = excluded.ids[excluded.offsets[k] : excluded.offsets[k + 1]]
        kept = 0
        for position in range(lengths[k]):
            neighbor, count = neighbors[k, position], counts[k, position]
            for item in ids:
                count -= contains(user_item, neighbor, item)
            place = kept
            while count > 0 and place > 0 and counts[k, place - 1] < count:  # almost in order: a few moves at most
                neighbors[k, place], counts[k, place] = neighbors[k, place - 1], counts[k, place - 1]
                place -= 1
            if count > 0:
                neighbors[k, place], counts[k, place] = neighbor, count
                kept += 1
        lengths[k] = kept


@kernel
def _sample(
    users: np.ndarray,
    neighbors: np.ndarray,
    counts: np.ndarray,
    lengths: np.ndarray,
    weighting: int,
    key: int,
    offsets: np.ndarray,
    chosen: np.ndarray,
    weights: np.ndarray,
) -> None:
    exact = np.empty(counts.shape[1], dtype=np.float64)
    for k in range(len(users)):
        length, out = lengths[k], offsets[k]
        num_kept = offsets[k + 1] - out
        num_heaviest = length if num_kept == length else (num_kept + 1) // 2
        weigh(counts[k, :length], weighting, exact)
        chosen[out : out + num_heaviest] = neighbors[k, :num_heaviest]
        weights[out : out + num_heaviest] = exact[:num_heaviest]
        if num_heaviest < num_kept:
            tail = exact[num_heaviest:length]
            share = tail.sum() / (num_kept - num_heaviest)
            _draw_tail(tail, share, mix(key, users[k]), chosen[out + num_heaviest : out + num_kept])
            for position in range(out + num_heaviest, out + num_kept):
                chosen[position] = neighbors[k, num_heaviest + chosen[position]]
                weights[position] = share


@kernel
def _draw_tail(tail: np.ndarray, share: float, key: int, positions: np.ndarray) -> None:
    """Fills `positions` (into `tail`): the k-th is where the cumulative weight passes a uniform point of slice k."""
    cumulative = 0.0
    position = -1
    for drawn in range(len(positions)):
        point = (drawn + unit(mix(key, drawn))) * share
        while position < len(tail) - 1 and (position < 0 or cumulative <= point):
            position += 1
            cumulative += tail[position]
        positions[drawn] = position


def _co_user_matrix(rows: CoUserRows, seed_users: np.ndarray) -> SparseRows:
    by_id = np.argsort(seed_users)
    positions = by_id[np.searchsorted(seed_users, rows.neighbors, sorter=by_id)].astype(np.int32)
    return sparse_rows(rows.offsets, positions, len(seed_users), rows.weights)
