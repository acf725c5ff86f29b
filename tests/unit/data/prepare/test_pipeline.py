"""`prepare` from the first stage to the last: what it says, what its settings change, and what it leaves."""

from __future__ import annotations

import dataclasses
import functools
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest

from dualgnn_dist.data.prepare import pipeline
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.formats.readers import columns
from dualgnn_dist.data.prepare.formats.synthetic import SyntheticOptions
from dualgnn_dist.data.prepare.split import SplitMethod
from dualgnn_dist.data.store.reader import Store
from tests.unit.data.prepare.stores import CSV, OPTIONS, pairs, write_table

Make = Callable[..., Store]


@pytest.fixture
def folder(folder: Path) -> Path:
    write_table(folder)
    return folder


@pytest.fixture
def make(make: Make, folder: Path) -> Make:
    """`make(lines, **section)`: a store of the table; `lines` collects what is said."""
    return functools.partial(make, format="table", input=str(folder / "raw.csv"), options=OPTIONS)


def test_duplicates_and_small_users_are_counted_dropped_and_said(folder: Path, make: Make) -> None:
    (folder / "raw.csv").write_text(CSV + "1,10,5,107,test\n2,10,5,108,train\n")
    lines: list[str] = []
    store = make(lines, k_core=2)
    assert any("dropped 2 duplicates" in line for line in lines)
    assert any("dropped 1 interactions outside the 2-core" in line for line in lines)
    assert store.manifest.settings["left_out"] == {"duplicates": 2, "k_core_interactions": 1, "popular_items": 0}
    assert pairs(store, "train") == [(1, 10), (2, 10)] and store.manifest.num_users == 2


def test_popular_items_left_out_of_the_counts_are_said(make: Make) -> None:
    lines: list[str] = []
    store = make(lines, max_item_degree=1)
    assert any("1 items with more than 1 users were not counted" in line for line in lines)
    assert store.manifest.settings["left_out"]["popular_items"] == 1
    assert store.user_cooccurrence.degrees().tolist() == [0, 0, 0]
    assert make().user_cooccurrence.degrees().tolist() == [1, 1, 0]


def test_what_a_killed_prepare_left_is_named(folder: Path, make: Make) -> None:
    (folder.parent / ".store.unfinished-1234").mkdir()
    lines: list[str] = []
    make(lines)
    assert f"{folder.parent / '.store.unfinished-1234'}, left by a prepare that was killed, is deleted" in lines
    assert not (folder.parent / ".store.unfinished-1234").exists()


SMALL = {"num_users": 60, "num_items": 90, "num_interactions": 900, "num_topics": 5, "min_interactions": 2}
PREPARE_CHANGES: dict[str, Any] = {
    "split": "cold_items",
    "split_shares": [0.5, 0.25, 0.25],
    "k_core": 5,
    "standardize": True,
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


def test_every_setting_changes_the_store(make: Make) -> None:
    section = {"format": "synthetic", "input": None, "split": "random"}
    fingerprints = {"": make(**section, options=SMALL).manifest.fingerprint}
    for key, value in PREPARE_CHANGES.items():
        fingerprints[key] = make(**{**section, key: value}, options=SMALL).manifest.fingerprint
    for key, value in OPTION_CHANGES.items():
        fingerprints[f"options.{key}"] = make(**section, options={**SMALL, key: value}).manifest.fingerprint
    for share in (0.2, 0.3):
        cold = {**section, "split": "cold_items", "cold_share": share}
        fingerprints[f"cold_share={share}"] = make(**cold, options=SMALL).manifest.fingerprint
    assert len(set(fingerprints.values())) == len(fingerprints), fingerprints
    others = {
        "cold_items",
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
    log: Path, make: Make, split: str, k_core: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**LOG_OPTIONS, **(OPTIONS if split == "given" else {}), "id_type": "text" if k_core else "integer"}
    section = {"input": str(log), "options": options, "split": split, "k_core": k_core}
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
def test_stores_stay_what_they_were(log: Path, make: Make, split: str, k_core: int) -> None:
    options = {**LOG_OPTIONS, **(OPTIONS if split == "given" else {}), "id_type": "text" if k_core else "integer"}
    store = make(input=str(log), options=options, split=split, k_core=k_core)
    assert store.manifest.fingerprint == FORMER[split, k_core]


def test_scratch_is_gone_whether_prepare_ends_or_is_killed(log: Path, tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED.format(log=str(log), store=str(tmp_path / "stores" / "s")))
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    (left,) = (path for path in (tmp_path / "stores").iterdir() if path.is_dir())
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

pipeline.write_cooccurrence = killed
options = {{"timestamp_column": "time"}}
pipeline.prepare(PrepareConfig(format="table", input={log!r}, split="random", options=options), Path({store!r}))
"""
