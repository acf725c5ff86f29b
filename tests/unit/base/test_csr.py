"""Sparse rows in shards: what kernels read of them is what a list of lists says."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.base.csr import ShardedCSR, contains, find
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.raw_reads import load_float16, load_float32, load_int32, load_int64, prefetch_int32

ROWS = st.lists(st.lists(st.integers(0, 30), unique=True, max_size=9).map(sorted), max_size=14)


def flat(rows: Iterable[list[int]]) -> list[int]:
    return list(itertools.chain.from_iterable(rows))


def in_shards(rows: list[list[int]], rows_per_shard: int, gap: int = 0) -> ShardedCSR:
    """`gap` numbers of another's lie in front of each shard's neighbours, as in a file that holds more."""
    shards = [rows[start : start + rows_per_shard] for start in range(0, len(rows), rows_per_shard)]
    offsets = [gap + np.cumsum([0, *map(len, shard)], dtype=np.int64) for shard in shards]
    neighbors = [np.array([-7] * gap + flat(shard), dtype=np.int32) for shard in shards]
    counts = [array * 2 + 1 for array in neighbors]
    return ShardedCSR(len(rows), rows_per_shard, offsets, neighbors, counts)


@settings(max_examples=40, deadline=None)
@given(ROWS, st.integers(1, 6), st.integers(0, 2), st.data())
def test_rows_in_shards_are_the_rows_of_a_list(
    rows: list[list[int]], rows_per_shard: int, gap: int, data: st.DataObject
) -> None:
    csr = in_shards(rows, rows_per_shard, gap)
    assert [csr.row(row).tolist() for row in range(len(rows))] == rows
    assert [csr.row_counts(row).tolist() for row in range(len(rows))] == [[2 * n + 1 for n in row] for row in rows]
    assert csr.degrees().tolist() == [len(row) for row in rows] and csr.degrees().dtype == np.int32
    asked = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1)) if rows else st.just([])), dtype=np.int32)
    assert csr.degrees(asked).tolist() == [len(rows[row]) for row in asked]
    offsets, neighbors = csr.gather(asked)
    assert offsets.tolist() == np.cumsum([0, *(len(rows[row]) for row in asked)]).tolist()
    assert neighbors.tolist() == flat(rows[row] for row in asked)
    assert (offsets.dtype, neighbors.dtype) == (np.int64, np.int32)


@settings(max_examples=40, deadline=None)
@given(ROWS.filter(len), st.integers(1, 6), st.integers(-1, 31), st.data())
def test_a_neighbour_is_found_where_it_stands(
    rows: list[list[int]], rows_per_shard: int, column: int, data: st.DataObject
) -> None:
    csr, row = in_shards(rows, rows_per_shard, gap=1), data.draw(st.integers(0, len(rows) - 1))
    place = rows[row].index(column) if column in rows[row] else -1
    assert find(csr.handle, row, column) == place
    assert contains(csr.handle, row, column) == (place >= 0)


def test_one_shard_from_arrays_and_from_pairs() -> None:
    rows, columns = np.array([2, 0, 2, 0, 2]), np.array([5, 1, 0, 9, 3])
    csr = ShardedCSR.from_pairs(rows, columns, num_rows=4)
    assert [csr.row(row).tolist() for row in range(4)] == [[1, 9], [], [0, 3, 5], []]
    again = ShardedCSR.from_arrays(csr.offsets[0], csr.neighbors[0], np.arange(5))
    assert again.row_counts(2).tolist() == [2, 3, 4] and again.counts is not None and again.counts[0].dtype == np.int32
    empty = ShardedCSR.from_pairs(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), num_rows=0)
    assert empty.num_rows == 0 and len(empty.degrees()) == 0 and empty.gather(np.empty(0, np.int32))[0].tolist() == [0]


@pytest.mark.parametrize("kind", ["offsets", "neighbors", "counts"])
def test_arrays_that_kernels_would_misread_are_refused(kind: str) -> None:
    arrays = {
        "offsets": [np.array([0, 2])],
        "neighbors": [np.array([1, 4], dtype=np.int32)],
        "counts": [np.array([1, 1], dtype=np.int32)],
    }
    ShardedCSR(1, 1, **arrays)
    for wrong in (arrays[kind][0].astype(np.float64), np.zeros(4, dtype=arrays[kind][0].dtype)[::2]):
        with pytest.raises(AssertionError):
            ShardedCSR(1, 1, **{**arrays, kind: [wrong]})


@kernel
def _sums(addresses, num):  # type: ignore[no-untyped-def]
    whole, real = 0, 0.0
    for k in range(num):
        prefetch_int32(addresses[0], k + 1)  # past the end too: it only asks
        whole += load_int32(addresses[0], k) * 1000 + load_int64(addresses[1], k)
        real += load_float16(addresses[2], k) + load_float32(addresses[3], k)
    return whole, real


def test_reads_by_address_are_numpys() -> None:
    values = np.array([-3, 0, 7, 100])
    kinds = (np.int32, np.int64, np.float16, np.float32)
    arrays = [values.astype(kind) + np.array(0.5).astype(kind) for kind in kinds]
    addresses = np.array([array.ctypes.data for array in arrays], dtype=np.int64)
    whole, real = _sums(addresses, len(values))
    assert whole == int(arrays[0].sum()) * 1000 + int(arrays[1].sum())
    assert real == arrays[2].astype(np.float64).sum() + arrays[3].astype(np.float64).sum()
