"""One hop: for each target node, at most `fanout` of its neighbours, uniformly and without replacement.

What a node draws is a pure function of (key, hop, node). A layer's value at a node is therefore the same on whichever
worker and in whichever slice of the batch the node turns up: two workers compute exactly what one would.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dualgnn_dist.base.csr import CSRHandle, ShardedCSR, find, row_span
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.randomness import Word, below, mix
from dualgnn_dist.base.raw_reads import load_int32, prefetch_int32

ALL = -1  # the fanout that takes every neighbour
_GROUP = 32  # targets whose neighbours are asked for before any is read: about as many lines as a core can wait for
_NEIGHBOR_BYTES = 4


class Excluded(NamedTuple):
    """Edges left out of the draw: of target k the neighbours `ids[offsets[k]:offsets[k + 1]]`, sorted.

    Targets beyond the offsets keep all their edges.
    """

    offsets: np.ndarray  # int64 [k + 1]
    ids: np.ndarray  # int32


class Drawn(NamedTuple):
    """Of target k the neighbours `neighbors[offsets[k]:offsets[k + 1]]`, and how many there are for each one drawn."""

    offsets: np.ndarray  # int32 [T + 1]
    neighbors: np.ndarray  # int32 [E], row indices into the store
    scale: np.ndarray  # float32 [T]: degree / neighbours drawn, 0 where nothing was drawn


NOTHING_EXCLUDED = Excluded(np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.int32))


class NumbaDraw:
    """The sampler's own backend, straight from the memory-mapped shards."""

    def __init__(self, user_item: ShardedCSR, item_user: ShardedCSR) -> None:
        self._graphs = {"users": user_item, "items": item_user}

    def __call__(
        self, side: str, targets: np.ndarray, fanout: int, key: Word, hop: int, excluded: Excluded = NOTHING_EXCLUDED
    ) -> Drawn:
        """Draws for int32 `targets`, which are `users` or `items`; `fanout` ALL takes every neighbour.

        The scale of a target with excluded edges counts the edges that are left.
        """
        return Drawn(*_draw(self._graphs[side].handle, targets, fanout, np.uint64(key), hop, excluded))


@kernel
def _draw(
    csr: CSRHandle, targets: np.ndarray, fanout: int, key: int, hop: int, excluded: Excluded
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The fields of `Drawn`. Where a neighbour lies is known before any is read: a group's cache misses overlap."""
    rows, available = rows_of(csr, targets, excluded)
    offsets, scale = take(available, fanout)
    neighbors = np.empty(offsets[-1], dtype=np.int32)
    hop_key = mix(key, hop)
    for start in range(0, len(targets), _GROUP):
        group = range(start, min(start + _GROUP, len(targets)))
        for k in group:
            positions = neighbors[offsets[k] : offsets[k + 1]]
            choose(positions, available[k], mix(hop_key, targets[k]))
            if k < len(excluded.offsets) - 1:
                skip_excluded(csr, targets[k], excluded.ids[excluded.offsets[k] : excluded.offsets[k + 1]], positions)
            if len(positions) < available[k]:
                for position in positions:
                    prefetch_int32(rows[k], position)
            else:  # neighbours in a row, which the processor foresees by itself
                prefetch_int32(rows[k], 0)
        for k in group:
            for edge in range(offsets[k], offsets[k + 1]):
                neighbors[edge] = load_int32(rows[k], neighbors[edge])
    return offsets, neighbors, scale


@kernel
def rows_of(csr: CSRHandle, targets: np.ndarray, excluded: Excluded) -> tuple[np.ndarray, np.ndarray]:
    """Of each target the address of its first neighbour, int64, and how many are left to draw from, int32."""
    addresses = np.empty(len(targets), dtype=np.int64)
    available = np.empty(len(targets), dtype=np.int32)
    for k in range(len(targets)):
        shard, first, length = row_span(csr, targets[k])
        addresses[k] = csr.neighbors[shard] + first * _NEIGHBOR_BYTES
        available[k] = length
    for k in range(min(len(excluded.offsets) - 1, len(targets))):
        available[k] -= excluded.offsets[k + 1] - excluded.offsets[k]
    return addresses, available


@kernel
def take(available: np.ndarray, fanout: int) -> tuple[np.ndarray, np.ndarray]:
    """Offsets int32 and scale float32 of drawing `fanout` of those available, or all."""
    offsets = np.zeros(len(available) + 1, dtype=np.int32)
    scale = np.empty(len(available), dtype=np.float32)
    for k in range(len(available)):
        num_drawn = available[k] if fanout == ALL else min(available[k], fanout)
        offsets[k + 1] = offsets[k] + num_drawn
        scale[k] = available[k] / max(num_drawn, 1)
    return offsets, scale


@kernel
def choose(chosen: np.ndarray, n: int, key: int) -> None:
    """Fills `chosen` with len(chosen) distinct positions of [0, n), every subset equally likely.

    Few of many: Floyd's algorithm, whose search through the chosen is quadratic in their number. Else selection
    sampling (Knuth's algorithm S), one pass over the row.
    """
    count = len(chosen)
    if count == n:
        for position in range(n):
            chosen[position] = position
    elif count * count <= 4 * n:
        _choose_few(chosen, n, key)
    else:
        drawn = 0
        for position in range(n):
            if below(mix(key, position), n - position) < count - drawn:
                chosen[drawn] = position
                drawn += 1
                if drawn == count:
                    return


@kernel
def _choose_few(chosen: np.ndarray, n: int, key: int) -> None:
    """Floyd's: the k-th candidate lies in [0, n - count + k]; where it is taken, the last of that range stands in."""
    first_end = n - len(chosen) + 1
    for k in range(len(chosen)):  # apart from the search, so that the processor draws several at a time
        chosen[k] = below(mix(key, k), first_end + k)
    for k in range(1, len(chosen)):
        is_taken = False
        for earlier in range(k):
            is_taken |= chosen[earlier] == chosen[k]
        if is_taken:
            chosen[k] = first_end + k - 1


@kernel
def skip_excluded(csr: CSRHandle, target: int, excluded: np.ndarray, positions: np.ndarray) -> None:
    """Maps positions among the neighbours that are left to positions in the whole row. `excluded` ascends."""
    for other in range(len(excluded)):
        gap = find(csr, target, excluded[other])
        for k in range(len(positions)):
            if gap <= positions[k]:
                positions[k] += 1
