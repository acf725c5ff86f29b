"""Duplicates and k-core, each beside a plain Python twin; the columns lie in scratch files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.filter import compact, drop_duplicates, k_core
from dualgnn_dist.data.prepare.interactions import InteractionTable
from dualgnn_dist.data.prepare.scratch import Scratch
from tests.unit.data.prepare.stores import pairs_of, table_of

SCRATCH = Scratch(Path(tempfile.gettempdir()), block_rows=7)
PAIRS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 5)), min_size=1, max_size=60)


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
