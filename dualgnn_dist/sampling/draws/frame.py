"""What the draws of our own have in common: where rows lie, how much is drawn of each, and which positions of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import numpy as np

from dualgnn_dist.base.csr import CSRHandle, ShardedCSR, find, row_span
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.randomness import Word, below, mix
from dualgnn_dist.sampling.draws.contract import ALL, NOTHING_EXCLUDED, Drawn, Excluded

_NEIGHBOR_BYTES = 4


class KernelDraw:
    """A draw by a Numba kernel, straight from the memory-mapped shards: see `Draw`.

    Class attributes:
        kernel: (graph, targets, int32 fanouts [T], uint64 key, hop, excluded) -> `Drawn`.
    """

    kernel: ClassVar[Callable[..., Drawn]]

    def __init__(self, user_item: ShardedCSR, item_user: ShardedCSR) -> None:
        self._graphs = {"users": user_item, "items": item_user}

    def __call__(
        self,
        side: str,
        targets: np.ndarray,
        fanout: int | np.ndarray,
        key: Word,
        hop: int,
        excluded: Excluded = NOTHING_EXCLUDED,
    ) -> Drawn:
        """See `Draw`."""
        fanouts = fanout if isinstance(fanout, np.ndarray) else np.full(len(targets), fanout, dtype=np.int32)
        return type(self).kernel(self._graphs[side].handle, targets, fanouts, np.uint64(key), hop, excluded)


class Frame(NamedTuple):
    """All of a draw but the neighbours, which are still to be written."""

    rows: np.ndarray  # int64 [T], the address of each target's first neighbour
    available: np.ndarray  # int32 [T], neighbours that are left to draw from
    drawn: Drawn


@kernel
def frame_of(csr: CSRHandle, targets: np.ndarray, fanouts: np.ndarray, excluded: Excluded) -> Frame:
    """How much is drawn of each of int32 `targets` [T] by int32 `fanouts` [T], with memory for the neighbours."""
    rows, available = _rows_of(csr, targets, excluded)
    offsets, scale = _offsets_and_scale(available, fanouts)
    return Frame(rows, available, Drawn(offsets, np.empty(offsets[-1], dtype=np.int32), scale))


@kernel
def _rows_of(csr: CSRHandle, targets: np.ndarray, excluded: Excluded) -> tuple[np.ndarray, np.ndarray]:
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
def _offsets_and_scale(available: np.ndarray, fanouts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The offsets and the scale of `Drawn`: of each target its fanout, or all that is available."""
    offsets = np.zeros(len(available) + 1, dtype=np.int32)
    scale = np.empty(len(available), dtype=np.float32)
    for k in range(len(available)):
        num_drawn = available[k] if fanouts[k] == ALL else min(available[k], fanouts[k])
        offsets[k + 1] = offsets[k] + num_drawn
        scale[k] = available[k] / max(num_drawn, 1)
    return offsets, scale


@kernel
def excluded_of(excluded: Excluded, k: int) -> np.ndarray:
    """The neighbours that target k does without, ascending."""
    if k < len(excluded.offsets) - 1:
        return excluded.ids[excluded.offsets[k] : excluded.offsets[k + 1]]
    return excluded.ids[:0]


@kernel
def choose_positions(positions: np.ndarray, n: int, key: int) -> None:
    """Fills `positions` with len(positions) distinct ones of [0, n), every subset equally likely.

    Few of many: Floyd's algorithm (Bentley and Floyd 1987), whose search through those it has is quadratic in their
    number. Else selection sampling (Knuth's algorithm S), one pass over the row.
    """
    count = len(positions)
    if count == n:
        for position in range(n):
            positions[position] = position
    elif count * count <= 4 * n:
        _choose_few(positions, n, key)
    else:
        num_chosen = 0
        for position in range(n):
            if below(mix(key, position), n - position) < count - num_chosen:
                positions[num_chosen] = position
                num_chosen += 1
                if num_chosen == count:
                    return


@kernel
def _choose_few(positions: np.ndarray, n: int, key: int) -> None:
    """Floyd's: the k-th candidate lies in [0, n - count + k]; where it is taken, the last of that range stands in."""
    first_end = n - len(positions) + 1
    for k in range(len(positions)):  # apart from the search, so that the processor draws several at a time
        positions[k] = below(mix(key, k), first_end + k)
    for k in range(1, len(positions)):
        is_taken = False
        for earlier in range(k):
            is_taken |= positions[earlier] == positions[k]
        if is_taken:
            positions[k] = first_end + k - 1


@kernel
def skip_excluded(csr: CSRHandle, target: int, excluded: np.ndarray, positions: np.ndarray) -> None:
    """Maps positions among the neighbours that are left to positions in the whole row. `excluded` ascends."""
    for other in range(len(excluded)):
        gap = find(csr, target, excluded[other])
        for k in range(len(positions)):
            if gap <= positions[k]:
                positions[k] += 1
