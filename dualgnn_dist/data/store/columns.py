"""Columns over mapped shards: numbers by position, and item content by row as a `Feature`, read when asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from dualgnn_dist.base.batch import Feature
from dualgnn_dist.base.csr import ShardedCSR
from dualgnn_dist.base.kernels import kernel, kernel_inline
from dualgnn_dist.base.raw_reads import load_float16, load_float32
from dualgnn_dist.data.store.schema import ModalityInfo


def view_of(column: pa.Array) -> np.ndarray:
    """The numbers of a column without nulls; they keep the mapping alive."""
    return column.to_numpy(zero_copy_only=True)


class ShardedArray:
    """One column of numbers over shards of `rows_per_shard` rows (the last may be shorter)."""

    def __init__(self, shards: Sequence[np.ndarray], rows_per_shard: int, dtype: np.dtype) -> None:
        self._shards = list(shards)
        self._rows_per_shard = rows_per_shard
        self.dtype = dtype

    def __len__(self) -> int:
        return sum(len(shard) for shard in self._shards)

    def take(self, indices: np.ndarray) -> np.ndarray:
        """The values at int64 `indices`, in their order, as `np.take` gives them."""
        if len(self._shards) == 1:
            return self._shards[0][indices]
        values = np.empty(len(indices), dtype=self.dtype)
        for shard, positions in positions_by_shard(indices, self._rows_per_shard):
            values[positions] = self._shards[shard][indices[positions] - shard * self._rows_per_shard]
        return values

    def to_numpy(self) -> np.ndarray:
        """Everything: a view for a single shard, a copy for several."""
        if len(self._shards) == 1:
            return self._shards[0]
        return np.concatenate(self._shards) if self._shards else np.empty(0, dtype=self.dtype)


def positions_by_shard(rows: np.ndarray, rows_per_shard: int) -> list[tuple[int, np.ndarray]]:
    """(shard, positions in `rows` that it holds), in one sort whatever the number of shards."""
    if not len(rows):
        return []
    shards = rows // rows_per_shard
    order = np.argsort(shards, kind="stable")
    starts = np.flatnonzero(np.diff(shards[order], prepend=-1))
    return [(int(shards[part[0]]), part) for part in np.split(order, starts[1:])]


Hides = Callable[[np.ndarray], np.ndarray]  # item rows [n] -> bool [n]: whether a row's content is to be hidden


@dataclass(frozen=True)
class DenseColumn:
    """A vector an item; items may miss it."""

    info: ModalityInfo
    rows_per_shard: int
    shards: Sequence[pa.Array]  # FixedSizeList<float32 | float16>[D], zeros beneath the nulls
    hides: Hides | None = None
    refuse_damage: Callable[[], None] = lambda: None  # raises UserError once damage is found

    def gather(self, rows: np.ndarray, as_bfloat16: bool = False) -> Feature:
        """The vectors of item `rows`, int32 or int64 [n], as float32 or, in half the bytes, as the nearest bfloat16."""
        self.refuse_damage()
        assert not len(rows) or (rows.min() >= 0 and rows.max() < len(self._present)), "rows beyond the column"
        rows = np.ascontiguousarray(rows, dtype=np.int32)
        # NumPy has no bfloat16: the kernel writes its bits.
        values = np.empty((len(rows), self.info.dimension), dtype=np.uint16 if as_bfloat16 else np.float32)
        gather = _gather_bfloat16 if as_bfloat16 else _gather_float32
        gather(self._addresses, self.rows_per_shard, self.info.dtype == "float16", rows, values)
        present = self._present[rows]
        if self.hides is not None:
            hidden = self.hides(rows)
            values[hidden], present[hidden] = 0, False
        tensor = torch.from_numpy(values)
        return Feature(torch.from_numpy(present), values=tensor.view(torch.bfloat16) if as_bfloat16 else tensor)

    @cached_property
    def _addresses(self) -> np.ndarray:
        """Of each shard's first number, int64; `shards` keep the mapping alive."""
        parts = [view_of(shard.values) for shard in self.shards]
        assert all(part.dtype == self.info.dtype for part in parts), f"not all shards hold {self.info.dtype}"
        return np.array([part.ctypes.data for part in parts], dtype=np.int64)

    @cached_property
    def _present(self) -> np.ndarray:
        return _presence(self.shards)


@dataclass(frozen=True)
class TokenColumn:
    """A list of word ids an item; items may miss it."""

    info: ModalityInfo
    rows_per_shard: int
    shards: Sequence[pa.Array]  # large_list<int32>, empty beneath the nulls
    hides: Hides | None = None
    refuse_damage: Callable[[], None] = lambda: None

    def gather(self, rows: np.ndarray, as_bfloat16: bool = False) -> Feature:
        """The lists of item `rows`, int32 [n]; word ids are whole numbers in every precision."""
        present = self._present[rows]
        offsets, tokens = self._lists.gather(rows)
        if self.hides is not None:
            is_shown = ~self.hides(rows)
            lengths = np.diff(offsets)
            offsets[1:] = np.cumsum(lengths * is_shown)
            tokens, present = tokens[np.repeat(is_shown, lengths)], present & is_shown
        return Feature(
            torch.from_numpy(present), offsets=torch.from_numpy(offsets), tokens=torch.from_numpy(tokens).long()
        )

    @cached_property
    def _lists(self) -> ShardedCSR:
        return csr_of_lists(self.shards, self.rows_per_shard)

    @cached_property
    def _present(self) -> np.ndarray:
        return _presence(self.shards)


FeatureColumn = DenseColumn | TokenColumn
"""One modality of all items; `gather` is step 5 of a batch."""


def csr_of_lists(lists: Sequence[Any], rows_per_shard: int, counts: Sequence[Any] | None = None) -> ShardedCSR:
    """Rows of large_list<int32> shards as views; `counts` are lists of the same lengths."""
    return ShardedCSR(
        sum(len(shard) for shard in lists),
        rows_per_shard,
        [view_of(shard.offsets) for shard in lists],
        [view_of(shard.values) for shard in lists],
        None if counts is None else [view_of(shard.values) for shard in counts],
    )


def _presence(shards: Sequence[pa.Array]) -> np.ndarray:
    """bool [items]: one byte an item is all that a process keeps of a modality for itself."""
    parts = [shard.is_valid().to_numpy(zero_copy_only=False) for shard in shards]
    return np.concatenate(parts) if parts else np.empty(0, dtype=bool)


@kernel
def _gather_float32(
    addresses: np.ndarray, rows_per_shard: int, is_float16: bool, rows: np.ndarray, values: np.ndarray
) -> None:
    """Fills float32 `values` [n, D] with the vectors of int32 `rows`, widened on their way out of the page cache.

    A row's address and its place in `values` are found before its numbers are read: looked up for each of them they
    might have changed since the last was written, for all that the compiler knows, and vector registers stay unused.
    """
    dimension = values.shape[1]
    for k in range(len(rows)):
        shard = rows[k] // rows_per_shard
        source, first, target = addresses[shard], (rows[k] - shard * rows_per_shard) * dimension, values[k]
        if is_float16:
            for column in range(dimension):
                target[column] = load_float16(source, first + column)
        else:
            for column in range(dimension):
                target[column] = load_float32(source, first + column)


@kernel
def _gather_bfloat16(
    addresses: np.ndarray, rows_per_shard: int, is_float16: bool, rows: np.ndarray, values: np.ndarray
) -> None:
    """The same into uint16 `values`, rounded as torch rounds: a tie goes to the even neighbour."""
    dimension = values.shape[1]
    for k in range(len(rows)):
        shard = rows[k] // rows_per_shard
        source, first, target = addresses[shard], (rows[k] - shard * rows_per_shard) * dimension, values[k]
        if is_float16:
            for column in range(dimension):
                target[column] = _bfloat16_bits(load_float16(source, first + column))
        else:
            for column in range(dimension):
                target[column] = _bfloat16_bits(load_float32(source, first + column))


@kernel_inline
def _bfloat16_bits(value: np.float32) -> np.uint16:
    """The upper half of a float32 after rounding; features are finite, so NaN needs no care.

    Numba widens every sum of uint32, and half as many fit a vector register then: hence the conversions back.
    """
    bits = np.float32(value).view(np.uint32)
    is_odd = np.uint32(np.uint32(bits >> np.uint32(16)) & np.uint32(1))
    return np.uint16(np.uint32(np.uint32(bits + np.uint32(0x7FFF)) + is_odd) >> np.uint32(16))
