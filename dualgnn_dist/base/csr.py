"""A sparse row structure in shards, readable from Numba kernels without copying or concatenating the shards.

A graph of a billion edges lies in many memory-mapped files. The kernels get a `CSRHandle`: the addresses of the shards'
buffers, so that opening a store costs nothing that grows with it and every process of a node shares one page cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from dualgnn_dist.base.kernels import kernel, kernel_inline
from dualgnn_dist.base.raw_reads import load_int32, load_int64


class CSRHandle(NamedTuple):
    """What a kernel reads. Row r lies in shard `r // rows_per_shard`; all arrays hold one address a shard."""

    num_rows: int
    rows_per_shard: int
    offsets: np.ndarray  # int64 addresses of int64 offsets, rows in the shard + 1 of them
    neighbors: np.ndarray  # int64 addresses of int32 neighbours, sorted within a row
    counts: np.ndarray  # int64 addresses of int32 counts beside the neighbours; empty where there are none


@dataclass(frozen=True)
class ShardedCSR:
    """Rows of int32 neighbours over shards of `rows_per_shard` rows (the last may be shorter).

    Args:
        offsets: a shard's int64 [rows + 1] offsets into its neighbours; the first need not be 0.
        neighbors: a shard's int32 neighbours.
        counts: beside each neighbour its int32 co-occurrence count, or None.
    """

    num_rows: int
    rows_per_shard: int
    offsets: Sequence[np.ndarray]
    neighbors: Sequence[np.ndarray]
    counts: Sequence[np.ndarray] | None = None
    handle: CSRHandle = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for array in self.offsets:
            assert array.dtype == np.int64 and array.flags.c_contiguous
        for array in [*self.neighbors, *(self.counts or [])]:
            assert array.dtype == np.int32 and array.flags.c_contiguous
        handle = CSRHandle(
            self.num_rows,
            min(self.rows_per_shard, 2**31 - 1),  # rows are int32
            _addresses(self.offsets),
            _addresses(self.neighbors),
            _addresses(self.counts or []),
        )
        object.__setattr__(self, "handle", handle)

    @classmethod
    def from_arrays(cls, offsets: np.ndarray, neighbors: np.ndarray, counts: np.ndarray | None = None) -> ShardedCSR:
        """One shard around arrays in memory: offsets [rows + 1], neighbours [E] and counts [E] or None."""
        return cls(
            len(offsets) - 1,
            max(1, len(offsets) - 1),
            [np.ascontiguousarray(offsets, dtype=np.int64)],
            [np.ascontiguousarray(neighbors, dtype=np.int32)],
            None if counts is None else [np.ascontiguousarray(counts, dtype=np.int32)],
        )

    @classmethod
    def from_pairs(cls, rows: np.ndarray, columns: np.ndarray, num_rows: int) -> ShardedCSR:
        """One shard from unordered (row, column) pairs, integers [E] each; rows come out sorted by column."""
        order = np.lexsort((columns, rows))
        offsets = np.zeros(num_rows + 1, dtype=np.int64)
        np.cumsum(np.bincount(rows, minlength=num_rows), out=offsets[1:])
        return cls.from_arrays(offsets, columns[order])

    def row(self, row: int) -> np.ndarray:
        """The int32 neighbours of one row (a view)."""
        return self._slice(self.neighbors, row)

    def row_counts(self, row: int) -> np.ndarray:
        """The int32 counts beside one row's neighbours (a view)."""
        assert self.counts is not None
        return self._slice(self.counts, row)

    def degrees(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Row lengths, int32: of `rows`, or of every row."""
        if rows is None:
            return np.concatenate([np.diff(offsets) for offsets in self.offsets] or [np.empty(0)]).astype(np.int32)
        return row_lengths(self.handle, np.ascontiguousarray(rows, dtype=np.int32))

    def gather(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows as one CSR of their own: offsets int64 [n + 1], neighbours int32 [offsets[n]]."""
        rows = np.ascontiguousarray(rows, dtype=np.int32)
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(row_lengths(self.handle, rows), out=offsets[1:])
        neighbors = np.empty(offsets[-1], dtype=np.int32)
        copy_rows(self.handle, rows, offsets, neighbors)
        return offsets, neighbors

    def _slice(self, arrays: Sequence[np.ndarray], row: int) -> np.ndarray:
        shard, local = divmod(row, self.rows_per_shard)
        start, end = self.offsets[shard][local], self.offsets[shard][local + 1]
        return arrays[shard][start:end]


def _addresses(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([array.ctypes.data for array in arrays], dtype=np.int64)


@kernel_inline
def row_span(csr: CSRHandle, row: int) -> tuple[np.int64, Any, Any]:
    """Kernel side: (shard, first position in the shard's neighbours, number of neighbours) of a row, all int64."""
    shard = np.int64(np.uint32(row) // np.uint32(csr.rows_per_shard))  # twice as fast as dividing with signs
    local = row - shard * csr.rows_per_shard
    start = load_int64(csr.offsets[shard], local)
    return shard, start, load_int64(csr.offsets[shard], local + 1) - start


@kernel
def row_lengths(csr: CSRHandle, rows: np.ndarray) -> np.ndarray:
    """int32 row lengths of int32 `rows`."""
    lengths = np.empty(len(rows), dtype=np.int32)
    for position in range(len(rows)):
        lengths[position] = row_span(csr, rows[position])[2]
    return lengths


@kernel
def copy_rows(csr: CSRHandle, rows: np.ndarray, offsets: np.ndarray, neighbors: np.ndarray) -> None:
    """Fills `neighbors[offsets[k]:offsets[k + 1]]` with the neighbours of `rows[k]`."""
    for position in range(len(rows)):
        shard, start, length = row_span(csr, rows[position])
        target = offsets[position]
        for k in range(length):
            neighbors[target + k] = load_int32(csr.neighbors[shard], start + k)


@kernel
def contains(csr: CSRHandle, row: int, column: int) -> bool:
    """Whether `column` is a neighbour of `row`: a binary search in the sorted row."""
    return find(csr, row, column) >= 0


@kernel
def find(csr: CSRHandle, row: int, column: int) -> int:
    """The position of `column` within `row`, or -1."""
    shard, start, length = row_span(csr, row)
    low, high = 0, length
    while low < high:
        middle = (low + high) >> 1
        if load_int32(csr.neighbors[shard], start + middle) < column:
            low = middle + 1
        else:
            high = middle
    if low < length and load_int32(csr.neighbors[shard], start + low) == column:
        return low
    return -1
