"""Orders and sparse rows by counting sort: linear in the interactions, whatever their number."""

from __future__ import annotations

import numpy as np
from numba import njit

from dualgnn_dist.csr import ShardedCSR


def stable_order(keys: np.ndarray, num_keys: int) -> np.ndarray:
    """int64 positions that sort int32 `keys` in [0, num_keys); equal keys keep their order."""
    return _scatter(keys, row_offsets(keys, num_keys)[:-1].copy())


def row_offsets(keys: np.ndarray, num_keys: int) -> np.ndarray:
    """int64 [num_keys + 1]: where each key's rows begin once they are sorted."""
    offsets = np.zeros(num_keys + 1, dtype=np.int64)
    np.cumsum(np.bincount(keys, minlength=num_keys), out=offsets[1:])
    return offsets


def sorted_pairs(rows: np.ndarray, columns: np.ndarray, num_rows: int, num_columns: int) -> np.ndarray:
    """int64 positions that sort pairs by row, then column; equal pairs keep their order."""
    order = stable_order(columns, num_columns)
    return order[stable_order(rows[order], num_rows)]


def csr_from_pairs(rows: np.ndarray, columns: np.ndarray, num_rows: int, num_columns: int) -> ShardedCSR:
    """The sparse rows of int32 pairs in any order; rows come out sorted."""
    order = sorted_pairs(rows, columns, num_rows, num_columns)
    return ShardedCSR.from_arrays(row_offsets(rows, num_rows), columns[order])


@njit(nogil=True, cache=True)
def _scatter(keys: np.ndarray, next_position: np.ndarray) -> np.ndarray:
    order = np.empty(len(keys), dtype=np.int64)
    for k in range(len(keys)):
        order[next_position[keys[k]]] = k
        next_position[keys[k]] += 1
    return order
