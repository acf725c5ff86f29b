"""Ids, orders, duplicates and k-core, each beside a plain Python twin."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.build.filter import compact, drop_duplicates, k_core
from dualgnn_dist.build.graph import csr_from_pairs, sorted_pairs
from dualgnn_dist.build.ids import IdTable, assign_rows
from dualgnn_dist.build.raw import RawData
from dualgnn_dist.build.table import InteractionTable
from dualgnn_dist.strict import UserError

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
    order = sorted_pairs(table.users, table.items, 8, 6)
    assert order.tolist() == sorted(range(len(pairs)), key=lambda k: pairs[k])
    csr = csr_from_pairs(table.users, table.items, 8, 6)
    assert [csr.row(user).tolist() for user in range(8)] == [sorted(i for u, i in pairs if u == v) for v in range(8)]


@settings(max_examples=30, deadline=None)
@given(PAIRS)
def test_duplicates_go_and_the_rest_is_sorted(pairs: list[tuple[int, int]]) -> None:
    assert pairs_of(drop_duplicates(table_of(pairs), 8, 6)) == sorted(set(pairs))


def test_of_duplicates_the_training_one_stays_then_the_earliest() -> None:
    users = np.array([0, 0, 0, 1, 1], dtype=np.int32)
    times = np.array([5, 3, 4, 9, 8])
    table = InteractionTable(users, np.zeros(5, dtype=np.int32), times, np.array([0, 2, 0, 1, 1], dtype=np.int8))
    unique = drop_duplicates(table, 2, 1)
    assert unique.timestamps is not None and unique.splits is not None
    assert unique.users.tolist() == [0, 1]
    assert unique.timestamps.tolist() == [4, 8] and unique.splits.tolist() == [0, 1]


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
    table = drop_duplicates(table_of(pairs), 8, 6)
    if left:
        assert pairs_of(k_core(table, k, 8, 6)) == sorted(left)
    else:
        with pytest.raises(UserError, match=f"prepare.k_core={k} leaves no interaction; choose a smaller one"):
            k_core(table, k, 8, 6)


def test_compact_renumbers_in_order() -> None:
    table, users, items = compact(table_of([(5, 1), (2, 1), (5, 4)]), 8, 6)
    assert users.tolist() == [2, 5] and items.tolist() == [1, 4]
    assert pairs_of(table) == [(1, 0), (0, 0), (1, 1)]


@pytest.mark.parametrize("ids", [["b", "a", "Zoë", "", "a"], [7, -(2**40), 2**40, 0, 7]])
def test_ids_become_rows_in_ascending_order(ids: list[str] | list[int]) -> None:
    raw = RawData(lambda: [pl.DataFrame({"user": ids, "item": ids}), pl.DataFrame({"user": ids[:1], "item": ids[:1]})])
    table, users, items = assign_rows(raw)
    assert users.ids.to_list() == items.ids.to_list() == sorted(set(ids))
    assert [users.ids[int(row)] for row in table.users] == [*ids, ids[0]]
    unknown = pl.Series(["c", "a"] if isinstance(ids[0], str) else [8, 7])
    assert items.rows(unknown).tolist() == [-1, items.ids.to_list().index(unknown[1])]


def test_rows_that_are_not_kept_name_their_ids_only() -> None:
    block = pl.DataFrame({"user": [1, 2], "item": [3, 4], "kept": [True, False]})
    table, users, _ = assign_rows(RawData(lambda: [block]))
    assert pairs_of(table) == [(0, 0)] and users.ids.to_list() == [1, 2]


def test_ids_that_are_rows_stay() -> None:
    raw = RawData(lambda: [pl.DataFrame({"user": [3, 0], "item": [1, 1]})], ids_are_rows=True, num_items=9)
    table, users, items = assign_rows(raw)
    assert pairs_of(table) == [(3, 1), (0, 1)] and (len(users), len(items)) == (4, 9)
    assert IdTable.range(3).rows(pl.Series([2, 3, -1])).tolist() == [2, -1, -1]


def test_ids_too_large_for_rows_and_no_ids_at_all() -> None:
    huge = RawData(lambda: [pl.DataFrame({"user": [2**40], "item": [1]})], ids_are_rows=True)
    with pytest.raises(UserError, match=f"id {2**40} is too large to be a row index; use the format 'table'"):
        assign_rows(huge)
    empty = pl.DataFrame({"user": [], "item": []}, schema={"user": pl.Int64, "item": pl.Int64})
    for ids_are_rows in (True, False):
        for blocks in ([], [empty]):
            with pytest.raises(UserError, match="the input has no interactions"):
                assign_rows(RawData(lambda blocks=blocks: blocks, ids_are_rows=ids_are_rows))
