"""One hop whose targets share their draws: as good an estimate of each node from fewer distinct nodes.

A neighbour gets one random number a hop, whoever asks, and a target keeps its `fanout` neighbours of the smallest
numbers. Seen from one target that is a uniform subset without replacement, as if it drew alone; but targets with
neighbours in common now choose the same ones. This is LABOR-0 with exact fanouts instead of expected ones: Balin and
Catalyurek, "Layer-Neighbor Sampling: Defusing Neighborhood Explosion in GNNs", NeurIPS 2023.

Drawing alone costs the fanout; this costs the length of the row. So that it does not grow with the graph, of a long row
only a window is looked at, which begins at the same share of every long row, drawn anew for every hop: every neighbour
is as likely as before, but neighbours whose ids are close come together more often.
"""

from __future__ import annotations

import numpy as np

from dualgnn_dist.base.csr import CSRHandle, ShardedCSR
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.randomness import Word, below, mix, mix_32
from dualgnn_dist.base.raw_reads import load_int32, prefetch_int32
from dualgnn_dist.sampling.draws.independent import (
    ALL,
    NOTHING_EXCLUDED,
    Drawn,
    Excluded,
    NumbaDraw,
    choose,
    rows_of,
    skip_excluded,
    take,
)

_WINDOW = 1024  # neighbours of a long row that are looked at, or four times the fanout
_WINDOW_WORD = np.uint64(1 << 40)  # no node: ids are int32
_LOW_HALF, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)
_LINE = 16  # neighbours in a cache line
_ASKED_FOR = 256
_AHEAD = 8  # targets whose neighbours are asked for while others are drawn


class SharedDraw:
    """The `shared` draws: the contract of `NumbaDraw`, whose fanout ALL takes the same edges."""

    def __init__(self, user_item: ShardedCSR, item_user: ShardedCSR) -> None:
        self._graphs = {"users": user_item, "items": item_user}
        self._draw_all = NumbaDraw(user_item, item_user)

    def __call__(
        self, side: str, targets: np.ndarray, fanout: int, key: Word, hop: int, excluded: Excluded = NOTHING_EXCLUDED
    ) -> Drawn:
        """Draws for int32 `targets`, which are `users` or `items`: a pure function of (key, hop, neighbour)."""
        if fanout == ALL:
            return self._draw_all(side, targets, fanout, key, hop, excluded)
        return Drawn(*_draw(self._graphs[side].handle, targets, fanout, np.uint64(key), hop, excluded))


@kernel
def _draw(
    csr: CSRHandle, targets: np.ndarray, fanout: int, key: int, hop: int, excluded: Excluded
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The fields of `Drawn`."""
    rows, available = rows_of(csr, targets, excluded)
    offsets, scale = take(available, fanout)
    neighbors = np.empty(offsets[-1], dtype=np.int32)
    hop_key = mix(key, hop)
    window = max(_WINDOW, 4 * fanout)
    seen, numbers = np.empty(window, dtype=np.int32), np.empty(window, dtype=np.uint32)
    for k in range(len(targets)):
        later = min(k + _AHEAD, len(targets) - 1)
        for position in range(0, min(available[later], _ASKED_FOR), _LINE):
            prefetch_int32(rows[later], position)
        chosen = neighbors[offsets[k] : offsets[k + 1]]
        left_out = excluded.ids[:0]
        if k < len(excluded.offsets) - 1:
            left_out = excluded.ids[excluded.offsets[k] : excluded.offsets[k + 1]]
        degree = available[k] + len(left_out)
        if degree > window and len(left_out) > 0:  # a window could hold any number of them
            choose(chosen, available[k], mix(hop_key, targets[k]))
            skip_excluded(csr, targets[k], left_out, chosen)
            for edge in range(len(chosen)):
                chosen[edge] = load_int32(rows[k], chosen[edge])
            continue
        start = below(mix(hop_key, _WINDOW_WORD), degree) if degree > window else 0
        num_seen = _read(rows[k], start, degree, min(degree, window), left_out, seen)
        _keep_smallest(seen[:num_seen], hop_key, numbers, chosen)
    return offsets, neighbors, scale


@kernel
def _read(row: int, start: int, degree: int, length: int, left_out: np.ndarray, seen: np.ndarray) -> int:
    """Writes `length` neighbours from position `start` on, round the end of the row, but for those left out."""
    before_end = min(length, degree - start)
    for k in range(before_end):
        seen[k] = load_int32(row, start + k)
    for k in range(before_end, length):
        seen[k] = load_int32(row, k - before_end)
    if len(left_out) == 0:
        return length
    num_seen = next_out = 0
    for k in range(length):
        if next_out < len(left_out) and left_out[next_out] == seen[k]:  # both ascend
            next_out += 1
        else:
            seen[num_seen] = seen[k]
            num_seen += 1
    return num_seen


@kernel
def _keep_smallest(seen: np.ndarray, key: int, numbers: np.ndarray, chosen: np.ndarray) -> None:
    """Fills `chosen` with those of the `seen` whose numbers are smallest, in that order; in the row's where all are."""
    count = len(chosen)
    if len(seen) == count:
        chosen[:] = seen
        return
    low, high = np.uint32(key & _LOW_HALF), np.uint32(key >> _32)
    for k in range(len(seen)):  # apart from the search, so that it is done in vector registers
        numbers[k] = mix_32(mix_32(np.uint32(seen[k]) ^ low) ^ high)
    for k in range(count):
        _insert(chosen, numbers, seen[k], numbers[k], k)
    largest = numbers[count - 1]
    for k in range(count, len(seen)):
        if numbers[k] < largest:
            _insert(chosen, numbers, seen[k], numbers[k], count - 1)
            largest = numbers[count - 1]


@kernel
def _insert(chosen: np.ndarray, numbers: np.ndarray, neighbor: int, number: int, place: int) -> None:
    """Puts a neighbour among the first `place` chosen, which ascend by their numbers; what was at `place` is lost."""
    while place > 0 and numbers[place - 1] > number:
        numbers[place] = numbers[place - 1]
        chosen[place] = chosen[place - 1]
        place -= 1
    numbers[place] = number
    chosen[place] = neighbor
