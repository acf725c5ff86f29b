"""Step 3 of a mini-batch: which co-users of a user are read, and with what weight.

The exact aggregation is `h(u) = sum_v s(u, v) g(v)` over the K heaviest neighbours of the co-occurrence graph. The
estimate takes the heavier half of the wanted number exactly, and draws the other half from the remaining neighbours in
proportion to their weights, each draw standing for an equal share of the weight that remains: its expectation is h(u).
One draw falls in each equal slice of the cumulative weight, which is unbiased as independent draws are, with less
variance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit

from dualgnn_dist.csr import CSRHandle, ShardedCSR, load_int32, row_span
from dualgnn_dist.sampling.hash import CO_USERS, mix, unit

Weighting = Literal["softmax", "mean", "count"]
_WEIGHTINGS = {"softmax": 0, "mean": 1, "count": 2}


@dataclass(frozen=True)
class CoUserRows:
    """Of user k the co-users `neighbors[offsets[k]:offsets[k + 1]]`.

    Args:
        offsets: int32 [n + 1].
        neighbors: int32 [E], row indices into the store; a co-user may be drawn twice.
        weights: float32 [E], s(u, v) or its unbiased estimate.
    """

    offsets: np.ndarray
    neighbors: np.ndarray
    weights: np.ndarray


def sample_co_users(
    cooccurrence: ShardedCSR, users: np.ndarray, max_neighbors: int, weighting: Weighting, num_drawn: int, key: int
) -> CoUserRows:
    """Co-users of int32 `users` [n] and their weights: a pure function of the user and the uint64 `key` of the step.

    Args:
        cooccurrence: neighbours in order of falling count, with counts.
        max_neighbors: K, of the stored neighbours the heaviest that count.
        num_drawn: at most so many co-users a user; -1 takes all K with their exact weights.
    """
    degrees = np.minimum(cooccurrence.degrees(users), max_neighbors)
    offsets = np.zeros(len(users) + 1, dtype=np.int32)
    np.cumsum(degrees if num_drawn < 0 else np.minimum(degrees, num_drawn), out=offsets[1:])
    neighbors = np.empty(offsets[-1], dtype=np.int32)
    weights = np.empty(offsets[-1], dtype=np.float32)
    co_user_key = np.uint64(mix(np.uint64(key), CO_USERS))
    _sample(cooccurrence.handle, users, max_neighbors, _WEIGHTINGS[weighting], co_user_key, offsets, neighbors, weights)
    return CoUserRows(offsets, neighbors, weights)


@njit(nogil=True, cache=True)
def _sample(
    csr: CSRHandle,
    users: np.ndarray,
    max_neighbors: int,
    weighting: int,
    key: int,
    offsets: np.ndarray,
    neighbors: np.ndarray,
    weights: np.ndarray,
) -> None:
    exact = np.empty(max_neighbors, dtype=np.float64)
    for k in range(len(users)):
        shard, start, length = row_span(csr, users[k])
        length = min(length, max_neighbors)
        _weigh(csr, shard, start, length, weighting, exact)
        num_kept = offsets[k + 1] - offsets[k]
        num_heaviest = length if num_kept == length else (num_kept + 1) // 2
        out = offsets[k]
        for position in range(num_heaviest):
            neighbors[out + position] = load_int32(csr.neighbors[shard], start + position)
            weights[out + position] = exact[position]
        if num_heaviest < num_kept:
            tail = exact[num_heaviest:length]
            share = tail.sum() / (num_kept - num_heaviest)
            _draw_tail(tail, share, mix(key, users[k]), neighbors[out + num_heaviest : out + num_kept])
            for position in range(out + num_heaviest, out + num_kept):
                neighbors[position] = load_int32(csr.neighbors[shard], start + num_heaviest + neighbors[position])
                weights[position] = share


@njit(nogil=True, cache=True)
def _weigh(csr: CSRHandle, shard: int, start: int, length: int, weighting: int, weights: np.ndarray) -> None:
    """Fills weights[:length] with s(u, v), which sum to 1. The first count is the largest: no exponential overflows."""
    total = 0.0
    for position in range(length):
        count = load_int32(csr.counts[shard], start + position)
        if weighting == 0:
            weights[position] = np.exp(np.float64(count - load_int32(csr.counts[shard], start)))
        elif weighting == 1:
            weights[position] = 1.0
        else:
            weights[position] = count
        total += weights[position]
    for position in range(length):
        weights[position] /= total


@njit(nogil=True, cache=True)
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
