"""Orders by counting sort are those of Python's sort."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.data.prepare.counting_sort import LONG_ROW, group, row_offsets, sort_row, stable_order
from tests.unit.data.prepare.stores import table_of

PAIRS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 5)), min_size=1, max_size=60)


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
