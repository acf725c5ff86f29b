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

from typing import NamedTuple

import numpy as np

from dualgnn_dist.base.csr import CSRHandle
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.randomness import below, mix, mix_32
from dualgnn_dist.base.raw_reads import load_int32, prefetch_int32
from dualgnn_dist.sampling.draws.contract import Drawn, Excluded
from dualgnn_dist.sampling.draws.frame import KernelDraw, choose_positions, excluded_of, frame_of, skip_excluded

_WINDOW = 1024  # neighbours of a long row that are looked at, or four times the fanout
_WINDOW_WORD = np.uint64(1 << 40)  # no node: ids are int32
_LOW_HALF, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)
_LINE = 16  # neighbours in a cache line
_ASKED_FOR = 256
_AHEAD = 8  # targets whose neighbours are asked for while others are drawn


class _Scratch(NamedTuple):
    """Memory of one call."""

    candidates: np.ndarray  # int32 [longest window], the neighbours that a target looks at
    numbers: np.ndarray  # uint32 [longest window], theirs
    kept: np.ndarray  # uint32 [longest window], the smallest of them, ascending


@kernel
def _draw(csr: CSRHandle, targets: np.ndarray, fanouts: np.ndarray, key: int, hop: int, excluded: Excluded) -> Drawn:
    """A pure function of (key, hop, neighbour); of (key, hop, node) for a long row with edges left out."""
    rows, available, drawn = frame_of(csr, targets, fanouts, excluded)
    hop_key = mix(key, hop)
    scratch = _scratch(fanouts)
    for k in range(len(targets)):
        later = min(k + _AHEAD, len(targets) - 1)
        _ask_for(rows[later], available[later])
        neighbors = drawn.neighbors[drawn.offsets[k] : drawn.offsets[k + 1]]
        left_out = excluded_of(excluded, k)
        degree = available[k] + len(left_out)
        window = _window(fanouts[k])
        takes_all = len(neighbors) == available[k]
        if takes_all or (degree > window and len(left_out) > 0):  # a window could hold any number of those left out
            choose_positions(neighbors, available[k], mix(hop_key, targets[k]))
            skip_excluded(csr, targets[k], left_out, neighbors)
            for edge in range(len(neighbors)):
                neighbors[edge] = load_int32(rows[k], neighbors[edge])
            continue
        start = below(mix(hop_key, _WINDOW_WORD), degree) if degree > window else 0
        num_candidates = _read(rows[k], start, degree, min(degree, window), left_out, scratch.candidates)
        _keep_smallest(num_candidates, hop_key, scratch, neighbors)
    return drawn


class SharedDraw(KernelDraw):
    """The `shared` draws."""

    kernel = _draw


@kernel
def _window(fanout: int) -> int:
    return max(_WINDOW, 4 * fanout)


@kernel
def _scratch(fanouts: np.ndarray) -> _Scratch:
    longest = _WINDOW
    for fanout in fanouts:
        longest = max(longest, _window(fanout))
    numbers, kept = np.empty(longest, dtype=np.uint32), np.empty(longest, dtype=np.uint32)
    return _Scratch(np.empty(longest, dtype=np.int32), numbers, kept)


@kernel
def _ask_for(row: int, length: int) -> None:
    for position in range(0, min(length, _ASKED_FOR), _LINE):
        prefetch_int32(row, position)


@kernel
def _read(row: int, start: int, degree: int, length: int, left_out: np.ndarray, candidates: np.ndarray) -> int:
    """Writes `length` neighbours from position `start` on, round the end of the row, but for those left out."""
    before_end = min(length, degree - start)
    for k in range(before_end):
        candidates[k] = load_int32(row, start + k)
    for k in range(before_end, length):
        candidates[k] = load_int32(row, k - before_end)
    if len(left_out) == 0:
        return length
    num_candidates = next_out = 0
    for k in range(length):
        if next_out < len(left_out) and left_out[next_out] == candidates[k]:  # both ascend
            next_out += 1
        else:
            candidates[num_candidates] = candidates[k]
            num_candidates += 1
    return num_candidates


@kernel
def _keep_smallest(num_candidates: int, key: int, scratch: _Scratch, neighbors: np.ndarray) -> None:
    """Fills `neighbors` with the candidates whose numbers are smallest, in that order; there are more than those."""
    candidates, numbers, kept = scratch
    low, high = np.uint32(key & _LOW_HALF), np.uint32(key >> _32)
    for k in range(num_candidates):  # apart from the search, so that it is done in vector registers
        numbers[k] = mix_32(mix_32(np.uint32(candidates[k]) ^ low) ^ high)
    count = len(neighbors)
    for k in range(count):
        _insert(neighbors, kept, candidates[k], numbers[k], k)
    largest = kept[count - 1]
    for k in range(count, num_candidates):
        if numbers[k] < largest:
            _insert(neighbors, kept, candidates[k], numbers[k], count - 1)
            largest = kept[count - 1]


@kernel
def _insert(neighbors: np.ndarray, kept: np.ndarray, neighbor: int, number: int, place: int) -> None:
    """Puts a neighbour among the first `place`, which ascend by their numbers `kept`; what was at `place` is lost."""
    while place > 0 and kept[place - 1] > number:
        kept[place] = kept[place - 1]
        neighbors[place] = neighbors[place - 1]
        place -= 1
    kept[place] = number
    neighbors[place] = neighbor
