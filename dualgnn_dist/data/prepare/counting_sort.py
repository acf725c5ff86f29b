"""Orders and sparse rows by counting sort: linear in the interactions, whatever their number."""

from __future__ import annotations

import numpy as np

from dualgnn_dist.base.kernels import kernel

LONG_ROW = 32  # shorter ones are sorted by insertion, which allocates nothing


@kernel
def count(keys: np.ndarray, num_keys: int) -> np.ndarray:
    """int64 [num_keys]: how often each of the integer `keys` in [0, num_keys) occurs."""
    counts = np.zeros(num_keys, dtype=np.int64)
    for key in keys:
        counts[key] += 1
    return counts


def row_offsets(keys: np.ndarray, num_keys: int) -> np.ndarray:
    """int64 [num_keys + 1]: where each key's rows begin once they are sorted."""
    offsets = np.zeros(num_keys + 1, dtype=np.int64)
    np.cumsum(count(keys, num_keys), out=offsets[1:])
    return offsets


def group(values: np.ndarray, keys: np.ndarray, offsets: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Fills `out` with `values` sorted by their keys, whose `row_offsets` are given; equal keys keep their order."""
    _scatter(values, keys, offsets[:-1].copy(), out)
    return out


def stable_order(keys: np.ndarray, num_keys: int) -> np.ndarray:
    """int64 positions that sort int32 `keys` in [0, num_keys); equal keys keep their order."""
    return group(np.arange(len(keys)), keys, row_offsets(keys, num_keys), np.empty(len(keys), dtype=np.int64))


@kernel
def sort_row(order: np.ndarray, values: np.ndarray) -> None:
    """Kernel side: sorts `order`, positions in the `values` of one row, by value; equal ones keep their order."""
    if len(order) > LONG_ROW:
        order[:] = order[np.argsort(values[order], kind="mergesort")]
        return
    for k in range(1, len(order)):
        position, free = order[k], k
        while free and values[order[free - 1]] > values[position]:
            order[free] = order[free - 1]
            free -= 1
        order[free] = position


@kernel
def _scatter(values: np.ndarray, keys: np.ndarray, next_position: np.ndarray, out: np.ndarray) -> None:
    for k in range(len(keys)):
        out[next_position[keys[k]]] = values[k]
        next_position[keys[k]] += 1
