"""Step 3 of a mini-batch: which co-users of a user are read, and with what weight.

The exact aggregation is `h(u) = sum_v s(u, v) g(v)` over the K heaviest neighbours of the co-occurrence graph. The
estimate takes the heavier half of the wanted number exactly, and draws the other half from the remaining neighbours in
proportion to their weights, each draw standing for an equal share of the weight that remains: its expectation is h(u).
One draw falls in each equal slice of the cumulative weight, which is unbiased as independent draws are, with less
variance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dualgnn_dist.base.csr import CSRHandle, ShardedCSR, contains
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.randomness import CO_USERS, Word, mix, unit
from dualgnn_dist.base.sparse import SparseRows, sparse_rows
from dualgnn_dist.models.co_users import WEIGHTINGS, CoUserRows, CoUsers, Heaviest, empty_rows, heaviest, weigh
from dualgnn_dist.sampling.draws import NOTHING_EXCLUDED, Excluded


class CoUserSampler:
    """Draws co-users; threads may share it.

    Args:
        cooccurrence: neighbours in order of falling count, with counts.
        user_item: says who shares the items that are excluded.
        co_users: how the model reads the graph.
        num_drawn: at most so many co-users a user; None takes all that the model reads with their exact weights.
    """

    def __init__(
        self, cooccurrence: ShardedCSR, user_item: ShardedCSR, co_users: CoUsers, num_drawn: int | None
    ) -> None:
        self._cooccurrence, self._user_item = cooccurrence, user_item
        self._co_users, self._num_drawn = co_users, num_drawn

    def sample(self, users: np.ndarray, key: Word, excluded: Excluded = NOTHING_EXCLUDED) -> CoUserRows:
        """Co-users of int32 `users` [n] with weights: a pure function of the user and the uint64 `key` of the step.

        Args:
            excluded: training items of the first users that are taken as unknown: they do not count as shared.
        """
        read = heaviest(self._cooccurrence.handle, users, self._co_users.max_neighbors)
        if len(excluded.ids):
            _uncount(self._user_item.handle, excluded, read)
        rows = empty_rows(read.lengths if self._num_drawn is None else np.minimum(read.lengths, self._num_drawn))
        co_user_key = np.uint64(mix(np.uint64(key), CO_USERS))
        _sample(users, read, WEIGHTINGS[self._co_users.weighting], co_user_key, rows)
        return rows


@kernel
def _uncount(user_item: CSRHandle, excluded: Excluded, read: Heaviest) -> None:
    """Takes excluded items out of the counts, drops neighbours that shared nothing else, restores the falling order."""
    for k in range(len(excluded.offsets) - 1):
        ids = excluded.ids[excluded.offsets[k] : excluded.offsets[k + 1]]
        neighbors, counts, num_kept = read.neighbors[k], read.counts[k], 0
        for position in range(read.lengths[k]):
            neighbor, count = neighbors[position], counts[position]
            for item in ids:
                count -= contains(user_item, neighbor, item)
            place = num_kept
            while count > 0 and place > 0 and counts[place - 1] < count:  # almost in order: a few moves at most
                neighbors[place], counts[place] = neighbors[place - 1], counts[place - 1]
                place -= 1
            if count > 0:
                neighbors[place], counts[place] = neighbor, count
                num_kept += 1
        read.lengths[k] = num_kept


class _Tail(NamedTuple):
    """A user's co-users behind those that are taken for certain."""

    neighbors: np.ndarray  # int32
    weights: np.ndarray  # float64
    share: float  # of the weight, that one draw stands for


@kernel
def _sample(users: np.ndarray, read: Heaviest, weighting: int, key: int, rows: CoUserRows) -> None:
    """Fills `rows`: of each user the heaviest, and draws from the others."""
    exact = np.empty(read.counts.shape[1], dtype=np.float64)
    for k in range(len(users)):
        length = read.lengths[k]
        weigh(read.counts[k, :length], weighting, exact)
        neighbors = rows.neighbors[rows.offsets[k] : rows.offsets[k + 1]]
        weights = rows.weights[rows.offsets[k] : rows.offsets[k + 1]]
        num_heaviest = length if len(neighbors) == length else (len(neighbors) + 1) // 2
        neighbors[:num_heaviest] = read.neighbors[k, :num_heaviest]
        weights[:num_heaviest] = exact[:num_heaviest]
        if num_heaviest < len(neighbors):
            tail_weights = exact[num_heaviest:length]
            share = tail_weights.sum() / (len(neighbors) - num_heaviest)
            tail = _Tail(read.neighbors[k, num_heaviest:length], tail_weights, share)
            _draw_tail(tail, mix(key, users[k]), neighbors[num_heaviest:])
            weights[num_heaviest:] = share


@kernel
def _draw_tail(tail: _Tail, key: int, neighbors: np.ndarray) -> None:
    """Fills `neighbors`: the k-th is where the cumulative weight passes a uniform point of slice k."""
    cumulative = 0.0
    position = -1
    for draw in range(len(neighbors)):
        point = (draw + unit(mix(key, draw))) * tail.share
        while position < len(tail.weights) - 1 and (position < 0 or cumulative <= point):
            position += 1
            cumulative += tail.weights[position]
        neighbors[draw] = tail.neighbors[position]


def co_user_matrix(rows: CoUserRows, seed_users: np.ndarray) -> SparseRows:
    """[users, seed users]: what the users of `rows` read of int32 `seed_users`, which hold all of their co-users."""
    by_id = np.argsort(seed_users)
    positions = by_id[np.searchsorted(seed_users, rows.neighbors, sorter=by_id)].astype(np.int32)
    return sparse_rows(rows.offsets, positions, len(seed_users), rows.weights)
