"""Ids, orders, duplicates and k-core, each beside a plain Python twin; the columns lie in scratch files."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare import ids
from dualgnn_dist.data.prepare.counting_sort import LONG_ROW, group, row_offsets, sort_row, stable_order
from dualgnn_dist.data.prepare.filter import compact, drop_duplicates, k_core
from dualgnn_dist.data.prepare.ids import IdTable, assign_rows
from dualgnn_dist.data.prepare.interactions import InteractionTable
from dualgnn_dist.data.prepare.lookup import Lookup
from dualgnn_dist.data.prepare.raw_data import RawData
from dualgnn_dist.data.prepare.scratch import Scratch

SCRATCH = Scratch(Path(tempfile.gettempdir()), block_rows=7)
PAIRS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 5)), min_size=1, max_size=60)


def table_of(pairs: list[tuple[int, int]]) -> InteractionTable:
    users, items = np.array(pairs, dtype=np.int32).T
    return InteractionTable(users.copy(), items.copy())


def pairs_of(table: InteractionTable) -> list[tuple[int, int]]:
    return list(zip(table.users.tolist(), table.items.tolist(), strict=True))


@settings(max_examples=30, deadline=None)
@given(PAIRS)
def test_pairs_sort_as_python_sorts_them(pairs: list[tuple[int, int]]) -> None:
    table = table_of(pairs)
    assert stable_order(table.users, 8).tolist() == sorted(range(len(pairs)), key=lambda k: pairs[k][0])
    grouped = group(table.items, table.users, row_offsets(table.users, 8), np.empty_like(table.items))
    assert grouped.tolist() == [item for _, item in sorted(pairs, key=lambda pair: pair[0])]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3 * LONG_ROW), st.integers(0, 100))
def test_a_row_sorts_and_equal_values_keep_their_order(length: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(-3, 4, length)
    order = np.arange(length)[::-1].copy()
    sort_row(order, values)
    assert order.tolist() == sorted(reversed(range(length)), key=lambda k: values[k])


@settings(max_examples=30, deadline=None)
@given(PAIRS)
def test_duplicates_go_and_the_rest_is_sorted(pairs: list[tuple[int, int]]) -> None:
    assert pairs_of(drop_duplicates(table_of(pairs), 8, SCRATCH)) == sorted(set(pairs))


def test_of_duplicates_the_training_one_stays_then_the_earliest() -> None:
    users = np.array([0, 0, 0, 1, 1], dtype=np.int32)
    times = np.array([5, 3, 4, 9, 8])
    table = InteractionTable(users, np.zeros(5, dtype=np.int32), times, np.array([0, 2, 0, 1, 1], dtype=np.int8))
    unique = drop_duplicates(table, 2, SCRATCH)
    assert unique.timestamps is not None and unique.splits is not None
    assert unique.users.tolist() == [0, 1]
    assert unique.timestamps.tolist() == [4, 8] and unique.splits.tolist() == [0, 1]


@settings(max_examples=60, deadline=None)
@given(PAIRS, st.booleans(), st.booleans(), st.integers(0, 100))
def test_of_duplicates_stays_what_a_sort_puts_first(
    pairs: list[tuple[int, int]], timed: bool, labelled: bool, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    times, splits = generator.integers(0, 3, len(pairs)), generator.integers(0, 3, len(pairs)).astype(np.int8)
    table = table_of(pairs)
    table = InteractionTable(table.users, table.items, times if timed else None, splits if labelled else None)
    unique = drop_duplicates(table, 8, SCRATCH)
    first: dict[tuple[int, int], tuple[int, int, int]] = {}
    for row, pair in enumerate(pairs):
        rank = (int(splits[row]) * labelled, int(times[row]) * timed, row)
        first[pair] = min(first.get(pair, rank), rank)
    rows = [first[pair][2] for pair in sorted(first)]
    for name, column in unique.columns.items():
        assert column.tolist() == getattr(table, name)[rows].tolist()
    assert unique.columns.keys() == table.columns.keys()


@settings(max_examples=40, deadline=None)
@given(PAIRS, st.integers(1, 4))
def test_k_core_is_what_removing_one_after_another_leaves(pairs: list[tuple[int, int]], k: int) -> None:
    left = set(pairs)
    while True:
        poor = next(
            (p for p in left if min(sum(q[0] == p[0] for q in left), sum(q[1] == p[1] for q in left)) < k), None
        )
        if poor is None:
            break
        left.remove(poor)
    table = drop_duplicates(table_of(pairs), 8, SCRATCH)
    if left:
        assert pairs_of(k_core(table, k, 8, 6, SCRATCH)) == sorted(left)
    else:
        with pytest.raises(UserError, match=f"prepare.k_core={k} leaves no interaction; choose a smaller one"):
            k_core(table, k, 8, 6, SCRATCH)


def test_compact_renumbers_in_order() -> None:
    table, users, items = compact(table_of([(5, 1), (2, 1), (5, 4)]), 8, 6, SCRATCH)
    assert users.tolist() == [2, 5] and items.tolist() == [1, 4]
    assert pairs_of(table) == [(1, 0), (0, 0), (1, 1)]


@pytest.mark.parametrize("named", [["b", "a", "Zoë", "", "a"], [7, -(2**40), 2**40, 0, 7]])
def test_ids_become_rows_in_ascending_order(named: list[str] | list[int]) -> None:
    blocks = [pl.DataFrame({"user": part, "item": part}) for part in (named, named[:1])]
    raw = RawData(lambda: blocks)
    table, users, items = assign_rows(raw, SCRATCH)
    assert users.ids.to_list() == items.ids.to_list() == sorted(set(named))
    assert [users.ids[int(row)] for row in table.users] == [*named, named[0]]
    unknown = pl.Series(["c", "a"] if isinstance(named[0], str) else [8, 7])
    assert items.rows(unknown).tolist() == [-1, items.ids.to_list().index(unknown[1])]


def test_rows_that_are_not_kept_name_their_ids_only() -> None:
    block = pl.DataFrame({"user": [1, 2], "item": [3, 4], "kept": [True, False]})
    table, users, _ = assign_rows(RawData(lambda: [block]), SCRATCH)
    assert pairs_of(table) == [(0, 0)] and users.ids.to_list() == [1, 2]


def test_ids_that_are_rows_stay() -> None:
    raw = RawData(lambda: [pl.DataFrame({"user": [3, 0], "item": [1, 1]})], ids_are_rows=True, num_items=9)
    table, users, items = assign_rows(raw, SCRATCH)
    assert pairs_of(table) == [(3, 1), (0, 1)] and (len(users), len(items)) == (4, 9)
    assert IdTable.range(3).rows(pl.Series([2, 3, -1])).tolist() == [2, -1, -1]


def test_ids_too_large_for_rows_and_no_ids_at_all() -> None:
    huge = RawData(lambda: [pl.DataFrame({"user": [2**40], "item": [1]})], ids_are_rows=True)
    with pytest.raises(UserError, match=f"id {2**40} is too large to be a row index; use the format 'table'"):
        assign_rows(huge, SCRATCH)
    empty = pl.DataFrame({"user": [], "item": []}, schema={"user": pl.Int64, "item": pl.Int64})
    for ids_are_rows in (True, False):
        for blocks in ([], [empty]):
            with pytest.raises(UserError, match="the input has no interactions"):
                assign_rows(RawData(lambda blocks=blocks: blocks, ids_are_rows=ids_are_rows), SCRATCH)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=40), st.lists(st.integers(-5, 5)))
def test_a_lookup_finds_what_a_dict_finds(keys: list[int], others: list[int]) -> None:
    lookup = Lookup(np.array(keys, dtype=np.int64))
    assert lookup.distinct
    places = {key: place for place, key in enumerate(keys)}
    found = lookup.find(np.array(keys + others, dtype=np.int64))
    assert found.tolist() == [places.get(key, -1) for key in keys + others]
    assert not keys or not Lookup(np.array([*keys, keys[0]], dtype=np.int64)).distinct


def test_texts_with_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def hashes(texts: pl.Series, seed: int) -> np.ndarray:
        lengths = texts.str.len_bytes().fill_null(0).to_numpy().astype(np.int64)
        return lengths + (texts == "a").fill_null(False).to_numpy() if seed == 0 else lengths

    monkeypatch.setattr(ids, "_keys", hashes)
    table = IdTable(pl.Series(["a", "bb", "ccc"]))  # with seed 0, "a" is as "bb"
    assert table.rows(pl.Series(["ccc", "x", "a", "dd", None, "bb"])).tolist() == [2, -1, 0, -1, -1, 1]


def test_nulls_and_other_types_are_unknown() -> None:
    table = IdTable(pl.Series([0, 7]))
    assert table.rows(pl.Series([None, 7, 0])).tolist() == [-1, 1, 0]
    assert table.rows(pl.Series(["7", "x"])).tolist() == [1, -1]
    assert IdTable(pl.Series([], dtype=pl.String)).rows(pl.Series(["x"])).tolist() == [-1]


def test_scratch_holds_what_it_is_given_and_leaves_no_file(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, block_rows=3)
    assert [(part.start, part.stop) for part in scratch.blocks(7)] == [(0, 3), (3, 6), (6, 7)]
    assert [(part.start, part.stop) for part in scratch.blocks(0)] == [(0, 0)]
    column = scratch.empty(5, np.int64)
    column[:] = np.arange(5)
    users, items = np.arange(5, dtype=np.int32), np.arange(5, 10, dtype=np.int32)
    table = InteractionTable(users, items, column)
    stacked = scratch.stack(table.take(part) for part in scratch.blocks(5))
    assert {name: values.tolist() for name, values in stacked.columns.items()} == {
        name: values.tolist() for name, values in table.columns.items()
    }
    empty = scratch.stack([table.take(slice(0, 0))])
    assert len(empty) == 0 and empty.columns.keys() == table.columns.keys()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("num_rows", [0, 1, 2, 1000])
def test_permutations_are_numpys(num_rows: int) -> None:
    made = SCRATCH.permutation(num_rows, np.random.default_rng(3))
    assert made.dtype == np.int32
    assert made.tolist() == np.random.default_rng(3).permutation(num_rows).tolist()


def test_no_room_for_scratch_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    scratch = Scratch(tmp_path, block_rows=3)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        UserError, match=f"scratch files cannot be written in {tmp_path} .No space left on device.; make"
    ):
        scratch.empty(5, np.int8)
    with pytest.raises(UserError, match="scratch files cannot be written"):
        Scratch(tmp_path / "missing", block_rows=3).stack([table_of([(1, 1)])])
