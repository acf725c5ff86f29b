"""Catalogues and logs that name different items: what a store has of them, and what is refused before the work."""

from __future__ import annotations

import functools
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.base.config import from_mapping
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.content import catalogue
from dualgnn_dist.data.prepare.content.catalogue import match
from dualgnn_dist.data.prepare.ids import IdTable
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.prepare.raw_data import RawData
from dualgnn_dist.data.prepare.reading import array_modality
from dualgnn_dist.data.prepare.tabular.parquet import ParquetTable
from dualgnn_dist.data.store.reader import Store
from tests.unit.data.prepare.stores import CSV, OPTIONS, every, write_table

Make = Callable[..., Store]
VISUAL = {"visual": "visual.parquet"}


@pytest.fixture
def folder(folder: Path) -> Path:
    """A log of the items 10, 20 and 30."""
    write_table(folder)
    return folder


@pytest.fixture
def make(make: Make, folder: Path) -> Make:
    """`make(lines, **section)`: a store of the table; `lines` collects what is said."""
    section = {"input": str(folder / "raw.csv"), "options": OPTIONS, "modalities": VISUAL}
    return functools.partial(make, format="table", **section)


def save(path: Path, items: list[Any], values: list[Any]) -> None:
    pl.DataFrame({"item": items, "v": values}).write_parquet(path)


LARGER = [5, 30, 25, 10, 99, 20]
VALUES = [[5.0], [30.0], None, [10.0], [99.0], [20.0]]


def test_a_larger_catalogue_makes_the_store_of_its_part(folder: Path, make: Make) -> None:
    save(folder / "visual.parquet", [30, 10, 20], [[30.0], [10.0], [20.0]])
    expected = make()
    save(folder / "visual.parquet", LARGER, VALUES)
    lines: list[str] = []
    dropped = make(lines, cold_items="drop")
    assert dropped.manifest.fingerprint == expected.manifest.fingerprint
    assert any("3 of 3 items of the log have a row; 3 rows name items that are not in" in line for line in lines)
    assert any("left out 3 of 6 catalogue items without an interaction" in line for line in lines)
    assert dropped.manifest.settings["catalogue"] == {"items": 6, "left_out": 3, "kept_cold": 0}
    assert expected.manifest.settings["catalogue"] == {"items": 3, "left_out": 0, "kept_cold": 0}
    assert not dropped.manifest.has_unseen_items
    assert make(cold_items="keep").manifest.fingerprint != expected.manifest.fingerprint


def test_items_with_content_are_kept(folder: Path, make: Make) -> None:
    save(folder / "visual.parquet", LARGER, VALUES)
    save(folder / "title.parquet", [7, 99, 10, 8], [[1, 2], [3], None, None])
    lines: list[str] = []
    store = make(lines, cold_items="keep", modalities={**VISUAL, "title": "title.parquet"})
    assert store.ids("items").to_pylist() == [5, 7, 10, 20, 30, 99]
    assert store.item_user.degrees().tolist() == [0, 0, 2, 1, 0, 0]
    visual, title = every(store, "visual"), every(store, "title")
    assert visual.values.ravel().tolist() == [5, 0, 10, 20, 30, 99]
    assert visual.present.tolist() == [True, False, True, True, True, True]
    assert title.present.tolist() == [False, True, False, False, False, True] and title.tokens.tolist() == [1, 2, 3]
    assert store.manifest.settings["catalogue"] == {"items": 8, "left_out": 2, "kept_cold": 3}
    assert any("3 items have content and no interaction" in line for line in lines)
    assert store.manifest.has_unseen_items


def test_what_the_k_core_drops_is_kept_for_its_content(folder: Path, make: Make) -> None:
    save(folder / "visual.parquet", [10, 20, 50], [[1.0], [2.0], [5.0]])
    (folder / "raw.csv").write_text(CSV + "1,50,5,1,train\n2,60,5,1,train\n")
    lines: list[str] = []
    dropped = make(lines, k_core=2)
    assert dropped.ids("items").to_pylist() == [10, 20, 30]
    kept = make(k_core=2, cold_items="keep")
    assert kept.ids("items").to_pylist() == [10, 20, 30, 50]
    assert any("left out 1 of 3 catalogue items" in line for line in lines)
    assert kept.manifest.num_interactions == dropped.manifest.num_interactions


def test_where_nothing_is_cold_both_are_the_same(make: Make) -> None:
    kept = make(cold_items="keep")
    assert kept.manifest.fingerprint == make().manifest.fingerprint and not kept.manifest.has_unseen_items


def test_items_are_kept_for_content_that_must_be_there(make: Make) -> None:
    with pytest.raises(UserError, match=r"prepare.cold_items is 'keep', .* there is no modality"):
        make(cold_items="keep", modalities={})


def test_all_that_is_wrong_with_ids_is_said_before_the_work(folder: Path, make: Make) -> None:
    save(folder / "visual.parquet", [30, 10, 30, 20, 10, 77, 30], [[1.0]] * 7)
    save(folder / "title.parquet", [1, 2, 3, 4], [[1]] * 4)
    save(folder / "sound.parquet", ["10", "2O"], [[1.0]] * 2)
    np.save(folder / "rows.npy", np.zeros((25, 2)))
    names = {name: f"{name}.parquet" for name in ("visual", "title", "sound")}
    lines: list[str] = []
    with pytest.raises(UserError) as caught:
        make(lines, modalities={**names, "rows": "rows.npy"})
    assert str(caught.value).split("; ") == [
        "modality 'visual': 2 item ids occur more than once, keep one row of each: "
        f"10 ({folder}/visual.parquet, row 1 and row 4), 30 ({folder}/visual.parquet, row 0 and row 2)",
        f"modality 'title': none of the 4 ids of {folder}/title.parquet is an item of the log",
        "the log has 10, 20, 30, the file 1, 2, 3, ...",
        f"modality 'sound': {folder}/sound.parquet, row 1: item '2O' is not a whole number of at least 0 and below "
        "2^63",
        "for ids that are texts set prepare.options.id_type to text",
        "modality 'rows' has 25 rows, which are taken for the items of their numbers, but 1 of 3 items lack a row: 30",
        "name their items with prepare.modalities={rows: {file: rows.npy, items: IDS}}, IDS a file with an id a row",
    ]
    assert not any("filter" in line for line in lines) and not (folder.parent / "store").exists()


def test_the_log_is_not_read_again_before_ids_are_refused(
    folder: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, rows = [], IdTable.rows
    monkeypatch.setattr(IdTable, "rows", lambda self, ids: asked.append(ids.name) or rows(self, ids))
    make()
    assert "user" in asked
    asked.clear()
    save(folder / "visual.parquet", [1], [[1.0]])
    with pytest.raises(UserError, match="none of the 1 ids"):
        make()
    assert asked and "user" not in asked


@pytest.mark.parametrize(
    ("written", "how"),
    [
        ("a1", "in lower case"),
        (" A1", "without the spaces around them"),
        ("0A1", "without zeros in front"),
        ("A1.0", "without '.0' at the end"),
        ("B2", None),
    ],
)
def test_ids_that_are_written_differently(folder: Path, make: Make, written: str, how: str | None) -> None:
    (folder / "raw.csv").write_text("user,item,part\n1,A1,train\n1,A2,valid\n1,A3,test\n")
    save(folder / "visual.parquet", [written, "C7"], [[1.0], [2.0]])
    with pytest.raises(UserError) as caught:
        make(options={**OPTIONS, "id_type": "text"})
    said = str(caught.value)
    assert f"the log has 'A1', 'A2', 'A3', the file {written!r}, 'C7'" in said
    assert said.endswith(f"; {how} they would match" if how else "'C7'")


def test_repeated_ids_that_the_log_does_not_name_matter_where_they_are_kept(folder: Path, make: Make) -> None:
    save(folder / "visual.parquet", [10, 7, 20, 7], [[1.0]] * 4)
    assert make().manifest.settings["catalogue"]["left_out"] == 1
    with pytest.raises(UserError, match=re.escape(f"row of each: 7 ({folder}/visual.parquet, row 1 and row 3)")):
        make(cold_items="keep")


def test_many_repeated_ids_are_counted(folder: Path, make: Make) -> None:
    items = [*range(10), *range(10)]
    (folder / "raw.csv").write_text("user,item,part\n" + "".join(f"1,{item},train\n" for item in range(10)))
    save(folder / "visual.parquet", items, [[1.0]] * 20)
    with pytest.raises(UserError, match=r"10 item ids .*: 0 .*, 2 [^,]*, row 2 and row 12\), \.\.\.$"):
        make()


def test_values_are_not_read_to_compare_ids(folder: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors of all items are much more than their ids."""
    passes: list[tuple[str, ...]] = []
    read = ParquetTable.blocks

    def spy(self: ParquetTable, names: Any, num_rows: int) -> Any:
        passes.append(tuple(names))
        return read(self, names, num_rows)

    monkeypatch.setattr(ParquetTable, "blocks", spy)
    make()
    # What the values are, how long they are, the ids, and then the values.
    assert passes == [("values",), ("items", "values"), ("items",), ("items", "values")]


def test_a_modality_that_changes_while_it_is_read(folder: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    matched = catalogue.match

    def change(*arguments: Any) -> Any:
        found = matched(*arguments)
        save(folder / "visual.parquet", [10, 20], [[1.0, 2.0]] * 2)
        return found

    monkeypatch.setattr("dualgnn_dist.data.prepare.pipeline.match", change)
    with pytest.raises(UserError, match=r"visual\.parquet changed while it was read; run `prepare` again"):
        make()


def test_values_of_rows_that_are_left_out_do_not_matter(folder: Path, make: Make) -> None:
    nan, huge = float("nan"), 1e30
    save(folder / "visual.parquet", [99, 10, 98, 20, 30], [[nan], [1.0], [huge], [2.0], [3.0]])
    assert every(make(), "visual").values.ravel().tolist() == [1, 2, 3]
    with pytest.raises(UserError, match=r"visual\.parquet, row 0: a value is NaN"):
        make(cold_items="keep")
    save(folder / "visual.parquet", [98, 99, 10, 20, 30], [[1.0], [nan], [1.0], [2.0], [huge]])
    with pytest.raises(UserError, match=r"visual\.parquet, row 4: column 0 holds 1e\+30"):
        make()


def test_row_numbers_that_are_taken_for_ids_are_said(folder: Path, make: Make) -> None:
    np.save(folder / "rows.npy", np.arange(31, dtype=np.float32)[:, None])
    lines: list[str] = []
    store = make(lines, modalities={"rows": "rows.npy"})
    assert every(store, "rows").values.ravel().tolist() == [10, 20, 30]
    assert any("28 rows name items that are not in the log, where row numbers are taken for item" in it for it in lines)


def test_rows_that_are_items_have_no_others(folder: Path) -> None:
    """Of formats whose ids are rows."""
    raw = RawData(lambda: iter(()), {"v": array_modality(Path("v.npy"), np.zeros((5, 2)))}, ids_are_rows=True)
    with pytest.raises(UserError, match=r"2 rows of items that are in no interaction, the first is v\.npy, row 3"):
        match(raw, IdTable.range(3), keep=False)
    assert match(raw, IdTable.range(5), keep=True).ids.ids.to_list() == [0, 1, 2, 3, 4]


ITEMS = st.lists(st.integers(0, 40).map(lambda number: f"i{number}"), unique=True, max_size=25)


@settings(max_examples=60, deadline=None)
@given(log=st.sets(st.integers(0, 40).map(lambda number: f"i{number}"), min_size=1), visual=ITEMS, sound=ITEMS)
def test_any_catalogue_against_any_log(log: set[str], visual: list[str], sound: list[str]) -> None:
    """Supersets, subsets and others, in any order: the store's items are those of the sets."""
    named = {"visual": visual, "sound": sound}
    values = {name: np.array([[len(item)] for item in items] or np.empty((0, 1))) for name, items in named.items()}
    modalities = {
        name: array_modality(Path(f"{name}.npy"), values[name], pl.Series(items, dtype=pl.String))
        for name, items in named.items()
        if items
    }
    raw, ids = RawData(lambda: iter(()), modalities), IdTable(pl.Series("id", sorted(log)))
    strangers = [name for name in modalities if not log & set(named[name])]
    if strangers:
        with pytest.raises(UserError) as caught:
            match(raw, ids, keep=False)
        assert all((f"modality {name!r}: none of" in str(caught.value)) == (name in strangers) for name in named)
        return
    all_named = set(visual) | set(sound)
    kept, dropped = match(raw, ids, keep=True), match(raw, ids, keep=False)
    assert dropped.ids.ids.to_list() == sorted(log) and kept.ids.ids.to_list() == sorted(log | all_named)
    assert kept.ids.ids.filter(pl.Series(kept.has_content)).to_list() == sorted(all_named)
    rows, of_log = np.arange(len(kept.ids)), kept.ids.rows(ids.ids)
    expected = {"items": len(all_named), "left_out": 0, "kept_cold": len(all_named - log)}
    assert kept.counts(rows, of_log, print) == expected
    rows, expected = np.arange(len(log)), {"items": len(all_named), "left_out": len(all_named - log), "kept_cold": 0}
    assert dropped.counts(rows, rows.astype(np.int32), print) == expected
    for name in modalities:
        assert dropped.overlaps[name].num_others == len(set(named[name]) - log)


@settings(max_examples=8, deadline=None)
@given(order=st.permutations(LARGER), kept=st.sets(st.sampled_from([5, 25, 99])))
def test_in_any_order_what_is_left_out_does_not_matter(order: list[int], kept: set[int]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder, fingerprints = Path(place), []
        write_table(folder)
        for items in (order, [item for item in order if item not in kept]):
            save(folder / "visual.parquet", items, [[float(item)] for item in items])
            section = {"format": "table", "input": str(folder / "raw.csv"), "options": OPTIONS, "modalities": VISUAL}
            config = from_mapping(PrepareConfig, section | {"overwrite": True})
            store = Store.open(prepare(config, folder / "store", say=lambda line: None))
            assert every(store, "visual").values.ravel().tolist() == [10, 20, 30]
            fingerprints.append(store.manifest.fingerprint)
        assert len(set(fingerprints)) == 1
