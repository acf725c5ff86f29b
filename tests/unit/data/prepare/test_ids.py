"""Raw ids become rows, and rows are found again, as a dict would."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare import ids
from dualgnn_dist.data.prepare.ids import IdTable, assign_rows
from dualgnn_dist.data.prepare.lookup import Lookup
from dualgnn_dist.data.prepare.raw_data import RawData
from dualgnn_dist.data.prepare.scratch import Scratch
from tests.unit.data.prepare.stores import pairs_of

SCRATCH = Scratch(Path(tempfile.gettempdir()), block_rows=7)


@pytest.mark.parametrize("named", [["b", "a", "Zoë", "", "a"], [7, -(2**40), 2**40, 0, 7]])
def test_ids_become_rows_in_ascending_order(named: list[str] | list[int]) -> None:
    blocks = [pl.DataFrame({"user": part, "item": part}) for part in (named, named[:1])]
    raw = RawData(lambda: blocks)
    table, users, items, _ = assign_rows(raw, SCRATCH)
    assert users.ids.to_list() == items.ids.to_list() == sorted(set(named))
    assert [users.ids[int(row)] for row in table.users] == [*named, named[0]]
    unknown = pl.Series(["c", "a"] if isinstance(named[0], str) else [8, 7])
    assert items.rows(unknown).tolist() == [-1, items.ids.to_list().index(unknown[1])]


def test_rows_that_are_not_kept_name_their_ids_only() -> None:
    block = pl.DataFrame({"user": [1, 2], "item": [3, 4], "kept": [True, False]})
    table, users, _, _ = assign_rows(RawData(lambda: [block]), SCRATCH)
    assert pairs_of(table) == [(0, 0)] and users.ids.to_list() == [1, 2]


def test_ids_that_are_rows_stay() -> None:
    raw = RawData(lambda: [pl.DataFrame({"user": [3, 0], "item": [1, 1]})], ids_are_rows=True, num_items=9)
    table, users, items, _ = assign_rows(raw, SCRATCH)
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
    rows = lookup.find(np.array(keys + others, dtype=np.int64))
    assert rows.tolist() == [places.get(key, -1) for key in keys + others]
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
