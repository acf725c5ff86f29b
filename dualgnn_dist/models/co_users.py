"""What a co-user weighs: which of a user's co-users a model reads, and s(u, v) of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

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


class CoUserRows(NamedTuple):
    """Of user k the co-users `neighbors[offsets[k]:offsets[k + 1]]`."""

    offsets: np.ndarray  # int32 [n + 1]
    neighbors: np.ndarray  # int32 [E], row indices into the store; a co-user may be drawn twice
    weights: np.ndarray  # float32 [E], s(u, v) or its unbiased estimate


class Heaviest(NamedTuple):
    """Of user k the `lengths[k]` first of `neighbors[k]`, in the stored order: of falling counts."""

    neighbors: np.ndarray  # int32 [n, K]
    counts: np.ndarray  # int32 [n, K]
    lengths: np.ndarray  # int32 [n]


WEIGHTINGS = {"softmax": 0, "mean": 1, "count": 2}


def exact_co_users(cooccurrence: ShardedCSR, users: np.ndarray, co_users: CoUsers) -> CoUserRows:
    """All co-users that a model reads of int32 `users` [n], heaviest first, with their exact weights s(u, v)."""
    read = heaviest(cooccurrence.handle, users, co_users.max_neighbors)
    rows = empty_rows(read.lengths)
    _fill(read, WEIGHTINGS[co_users.weighting], rows)
    return rows


def empty_rows(lengths: np.ndarray) -> CoUserRows:
    """Rows of these lengths, whose neighbours and weights are still to be written."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return CoUserRows(offsets, np.empty(offsets[-1], dtype=np.int32), np.empty(offsets[-1], dtype=np.float32))


@kernel
def _fill(read: Heaviest, weighting: int, rows: CoUserRows) -> None:
    weights = np.empty(read.counts.shape[1], dtype=np.float64)
    for k in range(len(read.lengths)):
        length, start, stop = read.lengths[k], rows.offsets[k], rows.offsets[k + 1]
        weigh(read.counts[k, :length], weighting, weights)
        rows.neighbors[start:stop] = read.neighbors[k, :length]
        rows.weights[start:stop] = weights[:length]


@kernel
def heaviest(csr: CSRHandle, users: np.ndarray, max_neighbors: int) -> Heaviest:
    """The first `max_neighbors` co-users of each of int32 `users` [n]."""
    neighbors = np.empty((len(users), max_neighbors), dtype=np.int32)
    counts = np.empty((len(users), max_neighbors), dtype=np.int32)
    lengths = np.empty(len(users), dtype=np.int32)
    for k in range(len(users)):
        shard, start, length = row_span(csr, users[k])
        lengths[k] = min(length, max_neighbors)
        for position in range(lengths[k]):
            neighbors[k, position] = load_int32(csr.neighbors[shard], start + position)
            counts[k, position] = load_int32(csr.counts[shard], start + position)
    return Heaviest(neighbors, counts, lengths)


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
