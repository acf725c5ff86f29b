"""Input files good and bad, from the file to the store or to the message."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest

from dualgnn_dist.base.config import build
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare import pipeline
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.formats.readers import columns
from dualgnn_dist.data.prepare.formats.synthetic import SyntheticOptions
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.prepare.split import SplitMethod
from dualgnn_dist.data.store.reader import Store

CSV = """user,item,rating,time,part
1,10,5,100,train
1,20,5,101,valid
1,30,4,102,test
2,10,3,103,0
2,30,5,104,1
2,20,5,105,2
3,20,1,106,train
"""
OPTIONS = {"split_column": "part"}
VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "raw.csv").write_text(CSV)
    pl.DataFrame({"item": [30, 10, 20], "v": VECTORS.tolist()}).write_parquet(tmp_path / "visual.parquet")
    return tmp_path


@pytest.fixture
def make(folder: Path) -> Callable[..., Store]:
    """`make(lines, **section)`: a store of the folder's files; `lines` collects what is said."""

    def run(lines: list[str] | None = None, **section: Any) -> Store:
        section = {"format": "table", "input": str(folder / "raw.csv"), "options": OPTIONS, **section}
        config = build(PrepareConfig, section, "prepare")
        return Store.open(prepare(config, folder / "store", say=[].append if lines is None else lines.append))

    return run


def pairs(store: Store, split: str) -> list[tuple[int, int]]:
    part = store.interactions(split)
    users = store.ids("users", part.users.to_numpy()).to_pylist()
    return sorted(zip(users, store.ids("items", part.items.to_numpy()).to_pylist(), strict=True))


def test_a_table_with_times_and_labels(make: Callable[..., Store]) -> None:
    store = make(options={**OPTIONS, "timestamp_column": "time"}, modalities={"visual": "visual.parquet"})
    assert pairs(store, "train") == [(1, 10), (2, 10), (3, 20)]
    assert pairs(store, "valid") == [(1, 20), (2, 30)] and pairs(store, "test") == [(1, 30), (2, 20)]
    times = store.interactions("valid").timestamps
    assert times is not None and times.to_numpy().tolist() == [101, 104]
    visual = store.features("visual").gather(np.array([0, 1, 2], dtype=np.int32))
    assert visual.present.all() and visual.values.tolist() == VECTORS[[1, 2, 0]].tolist()
    assert set(store.manifest.sources) == {"raw.csv", "visual.parquet"}
    assert store.manifest.settings["prepare"]["options"]["timestamp_column"] == "time"


@pytest.mark.parametrize("ending", [".tsv", ".parquet", ".data"])
def test_other_endings_read_the_same(folder: Path, make: Callable[..., Store], ending: str) -> None:
    frame = pl.read_csv(folder / "raw.csv", schema_overrides={"part": pl.String})
    path, options = folder / f"other{ending}", dict(OPTIONS)
    if ending == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path, separator="\t" if ending == ".tsv" else "|")
    if ending == ".data":
        options["separator"] = "|"
    first = make().manifest.fingerprint
    assert make(input=str(path), options=options, overwrite=True).manifest.fingerprint == first


def test_low_ratings_name_their_item_but_are_no_interaction(make: Callable[..., Store]) -> None:
    options = {**OPTIONS, "rating_column": "rating", "min_rating": 4}
    store = make(options=options, modalities={"visual": "visual.parquet"})
    assert pairs(store, "train") == [(1, 10)]
    assert store.ids("users").to_pylist() == [1, 2]


def test_duplicates_and_small_users_are_counted_dropped_and_said(folder: Path, make: Callable[..., Store]) -> None:
    (folder / "raw.csv").write_text(CSV + "1,10,5,107,test\n2,10,5,108,train\n")
    lines: list[str] = []
    store = make(lines, k_core=2)
    assert any("dropped 2 duplicates" in line for line in lines)
    assert any("dropped 1 interactions outside the 2-core" in line for line in lines)
    assert store.manifest.settings["left_out"] == {"duplicates": 2, "k_core_interactions": 1, "popular_items": 0}
    assert pairs(store, "train") == [(1, 10), (2, 10)] and store.manifest.num_users == 2


def test_popular_items_left_out_of_the_counts_are_said(make: Callable[..., Store]) -> None:
    lines: list[str] = []
    store = make(lines, max_item_degree=1)
    assert any("1 items with more than 1 users were not counted" in line for line in lines)
    assert store.manifest.settings["left_out"]["popular_items"] == 1
    assert store.user_cooccurrence.degrees().tolist() == [0, 0, 0]
    assert make(overwrite=True).user_cooccurrence.degrees().tolist() == [1, 1, 0]


@pytest.mark.parametrize("ids", ["ids.npy", "ids.txt"])
def test_npy_rows_by_ids_or_by_row(folder: Path, make: Callable[..., Store], ids: str) -> None:
    np.save(folder / "v.npy", VECTORS[:2].astype(np.float16))
    np.save(folder / "ids.npy", np.array([30, 10]))
    (folder / "ids.txt").write_text("30\n10\n")
    store = make(options={**OPTIONS, "item_id_files": {"v": ids}}, modalities={"v": "v.npy"})
    feature = store.features("v").gather(np.arange(3, dtype=np.int32))
    assert feature.present.tolist() == [True, False, True] and feature.values.tolist() == [[2, 3], [0, 0], [0, 1]]
    assert store.manifest.modalities["v"].dtype == "float16"


def test_tokens_from_parquet(folder: Path, make: Callable[..., Store]) -> None:
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
        ("user,item", "usr,item", "raw.csv has no column 'user'; did you mean 'usr'"),
        (
            "2,10,3",
            "-2,10,3",
            "raw.csv, line 5: user '-2' is not a whole number of at least 0; for ids that are texts set",
        ),
        ("2,10,3", "2,ten,3", "raw.csv, line 5: item 'ten' is not a whole number of at least 0"),
        ("2,10,3", "2,1.5,3", "raw.csv, line 5: item '1.5' is not a whole number"),
        ("2,10,3", ",10,3", "raw.csv, line 5: user None is not a whole number"),
        ("103,0", "soon,0", "raw.csv, line 5: time 'soon' is not a number or a time"),
        ("2,10,3", "2,10,good", "raw.csv, line 5: rating 'good' is not a number"),
        ("103,0", "103,dev", "raw.csv, line 5: part 'dev' is not one of train, valid, test, 0, 1, 2"),
        ("103,0", "103,0,1,2", "raw.csv cannot be read"),
        (CSV, "", "raw.csv cannot be read"),
        (CSV, CSV.splitlines()[0] + "\n", "the input has no interactions"),
    ],
)
def test_bad_tables(folder: Path, make: Callable[..., Store], old: str, new: str, message: str) -> None:
    assert old in CSV
    (folder / "raw.csv").write_text(CSV.replace(old, new, 1))
    options = {**OPTIONS, "timestamp_column": "time", "rating_column": "rating", "min_rating": 0}
    with pytest.raises(UserError, match=message):
        make(options=options)
    assert not (folder / "store").exists()


def save_parquet(path: Path, items: list[Any], values: list[Any] | pl.Series) -> None:
    pl.DataFrame({"item": items, "v": values}).write_parquet(path)


@pytest.mark.parametrize(
    ("items", "values", "message"),
    [
        ([10, 20, 99], [[1.0], [2.0], [3.0]], "v.parquet, row 2: item 99 is in no interaction; remove the row"),
        ([10, 20, 10], [[1.0], [2.0], [3.0]], "v.parquet, row 2: item 10 has a row already"),
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
        ([10, 20, 30], [[1], [None], [3]], "v.parquet, row 1: token None is not a whole number"),
        ([10, 20, 30], [[1], [], [2**31]], f"v.parquet, row 2: token {2**31} is not below {2**31}"),
        ([10, 20, 30], ["a", "b", "c"], "the column 'v' must hold lists of numbers, not String"),
        ([10], pl.Series([None], dtype=pl.List(pl.Float32)), "the column 'v' has no vector"),
        ([10], pl.Series([None], dtype=pl.List(pl.Int32)), "modality 'v' has no value for any item; leave it out"),
    ],
)
def test_bad_parquet_features(
    folder: Path, make: Callable[..., Store], items: list[Any], values: Any, message: str
) -> None:
    save_parquet(folder / "v.parquet", items, values)
    with pytest.raises(UserError, match=message):
        make(modalities={"v": "v.parquet"})
    assert not (folder / "store").exists()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"input": "RAW/raw.cvs"}, "raw.cvs does not exist; did you mean 'raw.csv'"),
        ({"input": "RAW/nowhere/raw.csv"}, "does not exist: there is no folder"),
        ({"input": None}, "the format 'table' needs prepare.input, the file of the interactions"),
        ({"input": "RAW/notes.md"}, "notes.md: unknown ending, known are .csv, .*; or set prepare.options.separator"),
        ({"modalities": {"v": "visal.parquet"}}, "visal.parquet does not exist; did you mean 'visual.parquet'"),
        ({"modalities": {"v": "notes.md"}}, "modality 'v': .*notes.md must be a .npy or .parquet file"),
        ({"modalities": {"v": "fake.npy"}}, "fake.npy is not a .npy file of numbers"),
        ({"modalities": {"v": "pickled.npy"}}, "pickled.npy is not a .npy file of numbers"),
        ({"modalities": {"v": "flat.npy"}}, r"flat.npy must hold numbers of shape \[items, D\], not float64 \[3\]"),
        ({"modalities": {"v": "texts.npy"}}, r"texts.npy must hold numbers of shape \[items, D\], not <U1 \[1, 1\]"),
        ({"modalities": {"v": "wide.npy"}}, "wide.npy, row 0: item 0 is in no interaction"),
        ({"modalities": {"v": "fake.parquet"}}, "fake.parquet cannot be read"),
        ({"options": {"item_id_files": {"v": "i.txt"}}}, "item_id_files names 'v', which is no .npy modality"),
        (
            {"modalities": {"v": "wide.npy"}, "options": {**OPTIONS, "id_type": "text"}},
            "wide.npy is keyed by row, ids are texts; set prepare.options.item_id_files",
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
        (
            {"format": "mmrec", "input": None, "options": {}},
            "the format 'mmrec' needs prepare.input, the folder of its files",
        ),
        ({"format": "mmrec", "input": "RAW/stor", "options": {}}, "RAW/stor is not a folder"),
        (
            {"format": "mmrec", "input": "RAW", "options": {}},
            "must hold one .inter file, there are: none; name it with",
        ),
        ({"format": "adjacency", "input": "RAW", "options": {}}, "train.txt does not exist; did you mean 'train.tx'"),
    ],
)
def test_bad_files(folder: Path, make: Callable[..., Store], section: dict[str, Any], message: str) -> None:
    for name in ("notes.md", "fake.npy", "fake.parquet", "train.tx"):
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
    assert not (folder / "store").exists()


INTER = "userID\titemID\tx_label\n0\t0\t0\n0\t1\t1\n1\t2\t2\n1\t0\t0\n"


@pytest.mark.parametrize(
    ("old", "new", "vectors", "message"),
    [
        ("itemID", "iid", VECTORS, "small.inter has no column 'itemID'"),
        ("1\t2\t2", "1\t-2\t2", VECTORS, "small.inter, line 4: itemID '-2' is not a whole number of at least 0"),
        ("1\t2\t2", "1\t2\t7", VECTORS, "split label 7; labels are"),
        ("1\t2\t2", "1\t2\t0", VECTORS, "the split 'given' leaves no test interaction of 4"),
        ("", "", np.zeros((4, 2)), "v.npy, row 3: item 3 is in no interaction; remove the row"),
        ("", "", np.zeros((2, 2)), "modality 'v' has 2 rows, but there are 3 items; the first without a row is 2"),
        ("", "", np.array([[0.0], [np.inf], [0.0]]), "v.npy, row 1: a value is NaN or infinite"),
    ],
)
def test_bad_mmrec(
    folder: Path, make: Callable[..., Store], old: str, new: str, vectors: np.ndarray, message: str
) -> None:
    (folder / "small.inter").write_text(INTER.replace(old, new, 1))
    np.save(folder / "v.npy", vectors)
    with pytest.raises(UserError, match=message):
        make(format="mmrec", input=str(folder), options={}, modalities={"v": "v.npy"})


def test_mmrec_with_several_inter_files_wants_a_name(folder: Path, make: Callable[..., Store]) -> None:
    for name in ("a.inter", "b.inter"):
        (folder / name).write_text(INTER)
    with pytest.raises(UserError, match=r"must hold one \.inter file, there are: a\.inter, b\.inter; name it with"):
        make(format="mmrec", input=str(folder), options={})
    assert make(format="mmrec", input=str(folder), options={"interactions": "b.inter"}).manifest.num_items == 3


def test_adjacency_names_the_line(folder: Path, make: Callable[..., Store]) -> None:
    section = {"format": "adjacency", "input": str(folder), "options": {}}
    (folder / "train.txt").write_text("0 1 2\n\n1   0\t2 \n2\n")
    (folder / "valid.txt").write_text("0 0\n")
    (folder / "test.txt").write_text("1 1")
    store = make(**section)
    assert pairs(store, "train") == [(0, 1), (0, 2), (1, 0), (1, 2)] and pairs(store, "test") == [(1, 1)]
    (folder / "train.txt").write_text("0 1 2\n\n1 0 x\n")
    with pytest.raises(UserError, match=r"train\.txt, line 3: item 'x' is not a whole number of at least 0"):
        make(**section, overwrite=True)
    (folder / "train.txt").write_text("0 1 2\n-1 0\n")
    with pytest.raises(UserError, match=r"train\.txt, line 2: user '-1' is not a whole number of at least 0"):
        make(**section, overwrite=True)


def test_what_a_killed_prepare_left_is_named(folder: Path, make: Callable[..., Store]) -> None:
    (folder / ".store.unfinished-1234").mkdir()
    lines: list[str] = []
    make(lines)
    assert f"{folder / '.store.unfinished-1234'} is of another prepare; remove it unless that one still runs" in lines


SMALL = {"num_users": 60, "num_items": 90, "num_interactions": 900, "num_topics": 5, "min_interactions": 2}
PREPARE_CHANGES: dict[str, Any] = {
    "split": "leave_one_out",
    "split_shares": [0.5, 0.25, 0.25],
    "k_core": 5,
    "num_co_users": 3,
    "max_item_degree": 9,
    "rows_per_shard": 50,
    "seed": 2,
}
OPTION_CHANGES = {
    "num_users": 61,
    "num_items": 91,
    "num_interactions": 950,
    "min_interactions": 3,
    "num_communities": 7,
    "num_topics": 6,
    "favourite_topics": 1,
    "taste": 0.5,
    "zipf": 1.0,
    "feature_noise": 2.0,
    "missing_share": 0.3,
    "visual_dimension": 3,
    "acoustic_dimension": 3,
    "vocabulary_size": 50,
    "textual_dimension": 4,
    "seed": 2,
}


def test_every_setting_changes_the_store(make: Callable[..., Store]) -> None:
    section = {"format": "synthetic", "input": None, "split": "random", "overwrite": True}
    fingerprints = {"": make(**section, options=SMALL).manifest.fingerprint}
    for key, value in PREPARE_CHANGES.items():
        fingerprints[key] = make(**{**section, key: value}, options=SMALL).manifest.fingerprint
    for key, value in OPTION_CHANGES.items():
        fingerprints[f"options.{key}"] = make(**section, options={**SMALL, key: value}).manifest.fingerprint
    for share in (0.1, 0.3):
        cold = {**section, "split": "cold_items", "cold_share": share}
        fingerprints[f"cold_share={share}"] = make(**cold, options=SMALL).manifest.fingerprint
    assert len(set(fingerprints.values())) == len(fingerprints), fingerprints
    others = {
        "cold_share",
        "format",
        "input",
        "modalities",
        "options",
        "num_threads",
        "backend",
        "overwrite",
    }  # the other tests' business
    assert set(PREPARE_CHANGES) | others == {field.name for field in dataclasses.fields(PrepareConfig)}
    assert set(OPTION_CHANGES) == {field.name for field in dataclasses.fields(SyntheticOptions)}


def test_a_random_split_where_there_are_no_labels(folder: Path, make: Callable[..., Store]) -> None:
    (folder / "train.txt").write_text("".join(f"{u} {' '.join(map(str, range(12)))}\n" for u in range(9)))
    section = {"format": "adjacency", "input": str(folder), "options": {"valid": None, "test": None}}
    with pytest.raises(UserError, match="'given' leaves no valid interaction of 108; choose another"):
        make(**section)
    assert sum(make(**section, split="random").manifest.num_interactions.values()) == 108


LOG_OPTIONS = {"timestamp_column": "time", "rating_column": "rating", "min_rating": 2.0}


@pytest.fixture
def log(folder: Path) -> Path:
    """A log in no order, in which pairs come twice, times tie, and some ratings are low."""
    generator = np.random.default_rng(3)
    users, items = generator.zipf(1.3, 700) % 60, generator.integers(0, 25, 700)
    frame = {"user": users * 37 % 61, "item": items**2, "rating": generator.integers(1, 6, 700)}
    labels = generator.choice(["train", "train", "valid", "test"], 700)
    pl.DataFrame({**frame, "time": generator.integers(0, 40, 700), "part": labels}).write_csv(folder / "log.csv")
    return folder / "log.csv"


@pytest.mark.parametrize("k_core", [0, 3])
@pytest.mark.parametrize("split", get_args(SplitMethod))
def test_the_size_of_blocks_does_not_matter(
    log: Path, make: Callable[..., Store], split: str, k_core: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**LOG_OPTIONS, **(OPTIONS if split == "given" else {}), "id_type": "text" if k_core else "integer"}
    section = {"input": str(log), "options": options, "split": split, "k_core": k_core, "overwrite": True}
    whole = make(**section)
    assert whole.manifest.settings["left_out"]["duplicates"] > 50
    for rows in (7, 100):
        monkeypatch.setattr(pipeline, "BLOCK_ROWS", rows)
        monkeypatch.setattr(columns, "BLOCK_ROWS", rows)
        assert make(**section).manifest.fingerprint == whole.manifest.fingerprint


# What `prepare` made when it held all interactions in memory, with the same versions of Arrow and polars.
FORMER = {
    ("random", 0): "9f240b8586ff458276f8466d9b5f0584",
    ("leave_one_out", 3): "13f140e8f44f3387fbb5b66cedccc4be",
    ("user_time", 0): "ee3203a1e3ff8ab872c2ac297c7003ec",
    ("cold_items", 3): "3c35cfcbe0579182edbeed6a62a46ac2",
    ("global_time", 0): "4ff13c136d40e219b946f37063ca66c3",
    ("given", 3): "83cee20f4e1841d98fe19d5905592099",
}


@pytest.mark.parametrize(("split", "k_core"), FORMER)
def test_stores_stay_what_they_were(log: Path, make: Callable[..., Store], split: str, k_core: int) -> None:
    options = {**LOG_OPTIONS, **(OPTIONS if split == "given" else {}), "id_type": "text" if k_core else "integer"}
    store = make(input=str(log), options=options, split=split, k_core=k_core)
    assert store.manifest.fingerprint == FORMER[split, k_core]


def test_scratch_is_gone_whether_prepare_ends_or_is_killed(log: Path, tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED.format(log=str(log), store=str(tmp_path / "stores" / "s")))
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    (left,) = (tmp_path / "stores").iterdir()
    assert left.name.startswith(".s.unfinished-")
    assert {path.name for path in left.iterdir()} == {"ids", "interactions", "graph"}  # shards, and nothing beside them
    assert not (left / "manifest.json").exists()


KILLED = """
import os, signal
from pathlib import Path
from dualgnn_dist.data.prepare import pipeline
from dualgnn_dist.data.prepare.config import PrepareConfig

def killed(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

pipeline._write_cooccurrence = killed
options = {{"timestamp_column": "time"}}
pipeline.prepare(PrepareConfig(format="table", input={log!r}, split="random", options=options), Path({store!r}))
"""
