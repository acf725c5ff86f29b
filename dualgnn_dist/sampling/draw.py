"""One hop: for each target node, at most `fanout` of its neighbours, uniformly and without replacement.

What a node draws is a pure function of (key, hop, node). A layer's value at a node is therefore the same on whichever
worker and in whichever slice of the batch the node turns up: two workers compute exactly what one would.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from dualgnn_dist.csr import CSRHandle, ShardedCSR, find, load_int32, row_span
from dualgnn_dist.hash import Word, below, mix

ALL = -1  # the fanout that takes every neighbour


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
        csr = self._graphs[side].handle
        available = _num_available(csr, targets, excluded)
        drawn = available if fanout == ALL else np.minimum(available, fanout)
        offsets = np.zeros(len(targets) + 1, dtype=np.int64)
        np.cumsum(drawn, out=offsets[1:])
        neighbors = np.empty(offsets[-1], dtype=np.int32)
        scratch = np.empty(max(1, fanout), dtype=np.int64)
        _draw(csr, targets, available, offsets, neighbors, excluded, np.uint64(key), hop, scratch)
        scale = available / np.maximum(drawn, 1)
        return Drawn(offsets.astype(np.int32), neighbors, scale.astype(np.float32))


@njit(nogil=True, cache=True)
def _num_available(csr: CSRHandle, targets: np.ndarray, excluded: Excluded) -> np.ndarray:
    available = np.empty(len(targets), dtype=np.int32)
    for k in range(len(targets)):
        available[k] = row_span(csr, targets[k])[2]
        if k < len(excluded.offsets) - 1:
            available[k] -= excluded.offsets[k + 1] - excluded.offsets[k]
    return available


@njit(nogil=True, cache=True)
def _draw(
    csr: CSRHandle,
    targets: np.ndarray,
    available: np.ndarray,
    offsets: np.ndarray,
    neighbors: np.ndarray,
    excluded: Excluded,
    key: int,
    hop: int,
    scratch: np.ndarray,
) -> None:
    hop_key = mix(key, hop)
    for k in range(len(targets)):
        shard, start, length = row_span(csr, targets[k])
        address = csr.neighbors[shard]
        num_drawn = offsets[k + 1] - offsets[k]
        out = neighbors[offsets[k] : offsets[k + 1]]
        if available[k] == length and num_drawn == length:
            for position in range(length):
                out[position] = load_int32(address, start + position)
            continue
        chosen = scratch[:num_drawn] if num_drawn <= len(scratch) else np.empty(num_drawn, dtype=np.int64)
        _choose(chosen, available[k], mix(hop_key, targets[k]))
        for position in range(num_drawn):
            out[position] = chosen[position]
        if available[k] != length:
            _skip_excluded(csr, targets[k], excluded.ids[excluded.offsets[k] : excluded.offsets[k + 1]], out)
        for position in range(num_drawn):
            out[position] = load_int32(address, start + out[position])


@njit(nogil=True, cache=True)
def _choose(chosen: np.ndarray, n: int, key: int) -> None:
    """Fills `chosen` with len(chosen) distinct positions of [0, n), every subset equally likely.

    Few of many: Floyd's algorithm, whose search through the chosen is quadratic in their number. Else selection
    sampling (Knuth's algorithm S), one pass over the row.
    """
    count = len(chosen)
    if count * count <= 4 * n:
        for drawn in range(count):
            last = n - count + drawn
            candidate = below(mix(key, drawn), last + 1)
            for earlier in range(drawn):
                if chosen[earlier] == candidate:
                    candidate = last
                    break
            chosen[drawn] = candidate
        return
    drawn = 0
    for position in range(n):
        if below(mix(key, position), n - position) < count - drawn:
            chosen[drawn] = position
            drawn += 1
            if drawn == count:
                return


@njit(nogil=True, cache=True)
def _skip_excluded(csr: CSRHandle, target: int, excluded: np.ndarray, positions: np.ndarray) -> None:
    """Maps positions among the neighbours that are left to positions in the whole row. `excluded` ascends."""
    for other in range(len(excluded)):
        gap = find(csr, target, excluded[other])
        for k in range(len(positions)):
            if gap <= positions[k]:
                positions[k] += 1
