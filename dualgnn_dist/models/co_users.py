"""What a co-user weighs: which of a user's co-users a model reads, and s(u, v) of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from dualgnn_dist.base.csr import CSRHandle, ShardedCSR, row_span
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.raw_reads import load_int32

Weighting = Literal["softmax", "mean", "count"]


@dataclass(frozen=True)
class CoUsers:
    """How a model reads the user co-occurrence graph: of how many neighbours at the most, and how it weighs them."""

    max_neighbors: int
    weighting: Weighting


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


WEIGHTINGS = {"softmax": 0, "mean": 1, "count": 2}


def exact_co_users(cooccurrence: ShardedCSR, users: np.ndarray, co_users: CoUsers) -> CoUserRows:
    """All co-users that a model reads of int32 `users` [n], heaviest first, with their exact weights s(u, v)."""
    neighbors, counts, lengths = heaviest(cooccurrence.handle, users, co_users.max_neighbors)
    offsets = np.zeros(len(users) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    rows = CoUserRows(offsets, np.empty(offsets[-1], dtype=np.int32), np.empty(offsets[-1], dtype=np.float32))
    _fill(neighbors, counts, WEIGHTINGS[co_users.weighting], offsets, rows.neighbors, rows.weights)
    return rows


@kernel
def _fill(
    neighbors: np.ndarray,
    counts: np.ndarray,
    weighting: int,
    offsets: np.ndarray,
    out_neighbors: np.ndarray,
    out_weights: np.ndarray,
) -> None:
    """Of [n, K] neighbours and counts those that are there, one user after the other."""
    weights = np.empty(counts.shape[1], dtype=np.float64)
    for k in range(len(offsets) - 1):
        start, stop = offsets[k], offsets[k + 1]
        weigh(counts[k, : stop - start], weighting, weights)
        out_neighbors[start:stop] = neighbors[k, : stop - start]
        out_weights[start:stop] = weights[: stop - start]


@kernel
def heaviest(csr: CSRHandle, users: np.ndarray, max_neighbors: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """int32 [n, K] neighbours and counts in the stored order, and how many there are of each user."""
    neighbors = np.empty((len(users), max_neighbors), dtype=np.int32)
    counts = np.empty((len(users), max_neighbors), dtype=np.int32)
    lengths = np.empty(len(users), dtype=np.int32)
    for k in range(len(users)):
        shard, start, length = row_span(csr, users[k])
        lengths[k] = min(length, max_neighbors)
        for position in range(lengths[k]):
            neighbors[k, position] = load_int32(csr.neighbors[shard], start + position)
            counts[k, position] = load_int32(csr.counts[shard], start + position)
    return neighbors, counts, lengths


@kernel
def weigh(counts: np.ndarray, weighting: int, weights: np.ndarray) -> None:
    """Fills weights[:len(counts)] with s(u, v), which sum to 1. The first count is the largest: exp cannot overflow."""
    total = 0.0
    for position in range(len(counts)):
        if weighting == 0:
            weights[position] = np.exp(np.float64(counts[position] - counts[0]))
        elif weighting == 1:
            weights[position] = 1.0
        else:
            weights[position] = counts[position]
        total += weights[position]
    for position in range(len(counts)):
        weights[position] /= total
