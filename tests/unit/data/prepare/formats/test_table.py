"""`table`: columns and features of a file, good and bad, from the file to the store or to the message."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from tests.unit.data.prepare.stores import CSV, OPTIONS, VECTORS, pairs, write_table

Make = Callable[..., Store]


@pytest.fixture
def folder(folder: Path) -> Path:
    write_table(folder)
    return folder


@pytest.fixture
def make(make: Make, folder: Path) -> Make:
    """`make(lines, **section)`: a store of the table; `lines` collects what is said."""
    return functools.partial(make, format="table", input=str(folder / "raw.csv"), options=OPTIONS)


def test_a_table_with_times_and_labels(make: Make) -> None:
    store = make(options={**OPTIONS, "timestamp_column": "time"}, modalities={"visual": "visual.parquet"})
    assert pairs(store, "train") == [(1, 10), (2, 10), (3, 20)]
    assert pairs(store, "valid") == [(1, 20), (2, 30)] and pairs(store, "test") == [(1, 30), (2, 20)]
    times = store.interactions("valid").timestamps
    assert times is not None and times.to_numpy().tolist() == [101, 104]
    visual = store.features("visual").gather(np.array([0, 1, 2], dtype=np.int32))
    assert visual.present.all() and visual.values.tolist() == VECTORS[[1, 2, 0]].tolist()
    assert set(store.manifest.sources) == {"raw.csv", "visual.parquet"}
    assert store.manifest.settings["prepare"]["options"]["timestamp_column"] == "time"


@pytest.mark.parametrize("ending", [".tsv", ".parquet", ".data", ".tabs"])
def test_other_endings_read_the_same(folder: Path, make: Make, ending: str) -> None:
    frame = pl.read_csv(folder / "raw.csv", schema_overrides={"part": pl.String})
    path, options = folder / f"other{ending}", dict(OPTIONS)
    if ending == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path, separator="|" if ending == ".data" else "\t")
    if ending in (".data", ".tabs"):
        options["separator"] = "|" if ending == ".data" else "\\t"  # as YAML has it without quotation marks
    first = make().manifest.fingerprint
    assert make(input=str(path), options=options).manifest.fingerprint == first


def test_low_ratings_name_their_item_but_are_no_interaction(make: Make) -> None:
    options = {**OPTIONS, "rating_column": "rating", "min_rating": 4}
    store = make(options=options, modalities={"visual": "visual.parquet"})
    assert pairs(store, "train") == [(1, 10)]
    assert store.ids("users").to_pylist() == [1, 2]


@pytest.mark.parametrize("ids", ["ids.npy", "ids.txt"])
def test_npy_rows_by_ids_or_by_row(folder: Path, make: Make, ids: str) -> None:
    np.save(folder / "v.npy", VECTORS[:2].astype(np.float16))
    np.save(folder / "ids.npy", np.array([30, 10]))
    (folder / "ids.txt").write_text("30\n10\n")
    store = make(options={**OPTIONS, "item_id_files": {"v": ids}}, modalities={"v": "v.npy"})
    feature = store.features("v").gather(np.arange(3, dtype=np.int32))
    assert feature.present.tolist() == [True, False, True] and feature.values.tolist() == [[2, 3], [0, 0], [0, 1]]
    assert store.manifest.modalities["v"].dtype == "float16"


def test_tokens_from_parquet(folder: Path, make: Make) -> None:
    lists = [[7, 0, 7], None, []]
    pl.DataFrame({"item": [20, 30, 10], "t": lists}).write_parquet(folder / "t.parquet")
    store = make(modalities={"t": "t.parquet"})
    feature = store.features("t").gather(np.arange(3, dtype=np.int32))
    assert (feature.offsets.tolist(), feature.tokens.tolist()) == ([0, 0, 3, 3], [7, 0, 7])
    assert feature.present.tolist() == [True, True, False]
    info = store.manifest.modalities["t"]
    assert (info.kind, info.dimension, info.num_present) == ("tokens", 8, 2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "user,item",
            "usr,item",
            "no column 'user'; did you mean 'usr'.; name it with prepare.options.user_column, or `.* --inspect",
        ),
        (
            "2,10,3",
            "-2,10,3",
            r"raw.csv, line 5: user '-2' is not a whole number of at least 0 and below 2\^63; for ids that are",
        ),
        ("2,10,3", "2,ten,3", "raw.csv, line 5: item 'ten' is not a whole number of at least 0"),
        ("2,10,3", "2,1.5,3", "raw.csv, line 5: item '1.5' is not a whole number"),
        ("2,10,3", ",10,3", "1 without 'user' .the first: .*raw.csv, line 5.; .*options.nulls=drop"),
        ("103,0", "soon,0", "raw.csv, line 5: time 'soon' is not a moment"),
        ("2,10,3", "2,10,good", "raw.csv, line 5: rating 'good' is not a number"),
        ("103,0", "103,dev", "raw.csv, line 5: part 'dev' is not one of train, valid, test, 0, 1, 2"),
        ("103,0", "103,0,1,2", "raw.csv, line 5: there are 7 values with ',' between them, but 5 columns"),
        (CSV, "", "raw.csv cannot be read"),
        (CSV, CSV.splitlines()[0] + "\n", "the input has no interactions"),
    ],
)
def test_bad_tables(folder: Path, make: Make, old: str, new: str, message: str) -> None:
    assert old in CSV
    (folder / "raw.csv").write_text(CSV.replace(old, new, 1))
    options = {**OPTIONS, "timestamp_column": "time", "rating_column": "rating", "min_rating": 0}
    with pytest.raises(UserError, match=message):
        make(options=options)
    assert not (folder.parent / "store").exists()


def save_parquet(path: Path, items: list[Any], values: list[Any] | pl.Series) -> None:
    pl.DataFrame({"item": items, "v": values}).write_parquet(path)


@pytest.mark.parametrize(
    ("items", "values", "message"),
    [
        ([97, 98, 99], [[1.0], [2.0], [3.0]], "none of the 3 ids of .*v.parquet is an item of the log"),
        ([10, 20, 10], [[1.0], [2.0], [3.0]], "1 item ids occur more than once, .*: 10 .*v.parquet, row 0 and row 2"),
        (
            [10, 20, 30],
            [[1.0], [float("nan")], [3.0]],
            "v.parquet, row 1: a value is NaN or infinite; leave the row empty",
        ),
        ([10, 20, 30], [[1.0], [2.0], [1e300]], "v.parquet, row 2: a value is NaN or infinite"),
        ([10, 20, 30], [[1.0], [None], [3.0]], "v.parquet, row 1: a value is NaN or infinite"),
        ([10, 20, 30], [[1.0], [2.0, 3.0], [3.0]], "v.parquet, row 1: the vector has 2 values, the first one has 1"),
        ([10, 20, -30], [[1.0], [2.0], [3.0]], "v.parquet, row 2: item -30 is not a whole number of at least 0"),
        ([10, 20, 30], [[1], [2, -5], [3]], "v.parquet, row 1: token -5 is not a whole number of at least 0"),
        ([10, 20, 30], [[1], [None], [3]], "v.parquet, row 1: token is empty"),
        (
            [10, 20, 30],
            [[1], [], [2**24]],
            f"v.parquet, row 2: token {2**24} is not below {2**24}; number the words densely",
        ),
        ([10, 20, 30], pl.Series([b"a", b"b", b"c"]), "the column 'v' holds Binary, which is no vector"),
        ([10, 20, 30], [[True], [False], []], "the column 'v' must hold lists of numbers or texts, not of Boolean"),
        ([10], pl.Series([None], dtype=pl.List(pl.Float32)), "the column 'v' has no vector"),
        ([10], pl.Series([None], dtype=pl.List(pl.Int32)), "modality 'v' has no value for any item; leave it out"),
    ],
)
def test_bad_parquet_features(folder: Path, make: Make, items: list[Any], values: Any, message: str) -> None:
    save_parquet(folder / "v.parquet", items, values)
    with pytest.raises(UserError, match=message):
        make(modalities={"v": "v.parquet"})
    assert not (folder.parent / "store").exists()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"input": "RAW/raw.cvs"}, "raw.cvs does not exist; did you mean 'raw.csv'"),
        ({"input": "RAW/nowhere/raw.csv"}, "does not exist: there is no folder"),
        ({"input": None}, "the format 'table' needs prepare.input, the file or the folder of"),
        (
            {"input": "RAW/notes.md"},
            "notes.md: unknown ending, known are .csv, .*; or set prepare.options.separator; .* --inspect .*notes.md",
        ),
        ({"modalities": {"v": "visal.parquet"}}, "visal.parquet does not exist; did you mean 'visual.parquet'"),
        ({"modalities": {"v": "notes.md"}}, "modality 'v': .*notes.md is of an unknown kind, known are .npy, .npz"),
        ({"modalities": {"v": "fake.npy"}}, "fake.npy is not a .npy file of numbers"),
        ({"modalities": {"v": "pickled.npy"}}, "pickled.npy is not a .npy file of numbers"),
        ({"modalities": {"v": "flat.npy"}}, r"flat.npy must hold numbers of shape \[items, D\], not float64 \[3\]"),
        ({"modalities": {"v": "texts.npy"}}, r"texts.npy must hold numbers of shape \[items, D\], not <U1 \[1, 1\]"),
        (
            {"modalities": {"v": "wide.npy"}},
            "3 of 3 items lack a row: 10, 20, 30; name .* prepare.modalities={v: {file: wide.npy, items: IDS}}",
        ),
        ({"modalities": {"v": "fake.parquet"}}, "fake.parquet cannot be read"),
        ({"options": {"item_id_files": {"v": "i.txt"}}}, "item_id_files names 'v', which is no modality in a matrix"),
        (
            {"modalities": {"v": "wide.npy"}, "options": {**OPTIONS, "id_type": "text"}},
            "wide.npy is keyed by row, ids are texts; name their items",
        ),
        (
            {"modalities": {"v": "wide.npy"}, "options": {**OPTIONS, "item_id_files": {"v": "two.txt"}}},
            "wide.npy has 3 rows, but there are 2 item ids for them",
        ),
        (
            {"modalities": {"v": "wide.npy"}, "options": {**OPTIONS, "item_id_files": {"v": "flat.npy"}}},
            r"flat.npy must hold whole numbers of shape \[rows\], not float64",
        ),
        (
            {"modalities": {"visual": "visual.parquet"}, "options": {**OPTIONS, "feature_item_column": "itm"}},
            "visual.parquet has no column 'itm'; did you mean 'item'",
        ),
    ],
)
def test_bad_files(folder: Path, make: Make, section: dict[str, Any], message: str) -> None:
    for name in ("notes.md", "fake.npy", "fake.parquet"):
        (folder / name).write_text("not what it says")
    (folder / "two.txt").write_text("10\n20\n")
    np.save(folder / "flat.npy", np.zeros(3))
    np.save(folder / "wide.npy", VECTORS)
    np.save(folder / "texts.npy", np.array([["a"]]))
    np.save(folder / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    if section.get("input"):
        section = {**section, "input": section["input"].replace("RAW", str(folder))}
    with pytest.raises(UserError, match=message.replace("RAW", str(folder))):
        make(**section)
    assert not (folder.parent / "store").exists()
