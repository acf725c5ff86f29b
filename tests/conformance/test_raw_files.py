"""The made raw data sets become stores, and their seed decides them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.store.reader import Store

NUM_INTERACTIONS = 4000
SECTIONS: Mapping[str, Mapping[str, Any]] = {
    "movielens": {"input": "ml-made.zip", "modalities": {"genre": "genres"}, "options": {"min_rating": 3.5}},
    "microlens": {
        "input": "",
        "modalities": {"visual": "extracted_modality_features/MicroLens-made_image_features.npy"},
    },
    "amazon": {
        "input": "Made.jsonl.gz",
        "modalities": {"category": "categories", "store": "store"},
        "options": {"min_rating": 4},
    },
}


@pytest.fixture(scope="module")
def raw_files() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "raw_files.py"
    spec = importlib.util.spec_from_file_location("raw_files", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)

    sys.modules["raw_files"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", SECTIONS)
def test_a_made_data_set_becomes_a_store(raw_files: ModuleType, tmp_path: Path, name: str) -> None:
    raw_files.MAKERS[name](tmp_path / name, raw_files.Tastes(NUM_INTERACTIONS, 1))
    section = {**SECTIONS[name], "input": str(tmp_path / name / SECTIONS[name]["input"])}
    config = PrepareConfig(format=name, split="leave_one_out", num_co_users=4, **section)
    manifest = Store.open(prepare(config, tmp_path / "store", say=lambda line: None)).manifest
    rows = manifest.settings["rows"]
    assert NUM_INTERACTIONS < rows["read"] < 1.3 * NUM_INTERACTIONS
    expected = 0 if name == "microlens" else rows["read"] / 11  # a tenth of the others
    assert rows.get("below_min_rating", 0) == pytest.approx(expected, abs=2)
    assert set(manifest.modalities) == set(section["modalities"])
    assert all(info.num_present > 0.9 * manifest.num_items for info in manifest.modalities.values())


def test_shop_and_hive_are_what_they_say(raw_files: ModuleType, tmp_path: Path) -> None:
    tastes = raw_files.Tastes(NUM_INTERACTIONS, 1)
    for name in ("shop", "hive"):
        raw_files.MAKERS[name](tmp_path / name, tastes)
    events = pl.concat([pl.read_ndjson(path) for path in sorted((tmp_path / "shop" / "events").iterdir())])
    assert events.columns == ["ts", "event", "user", "item_id", "dwell_ms"]
    assert set(events["event"]) == {"view", "cart", "buy", "like"}
    assert (events["dwell_ms"] < 3000).equals(events["event"] == "view")
    log = pl.read_parquet(tmp_path / "hive" / "log", hive_partitioning=True)
    assert log["user_id"].null_count() > 0 and (log["product_id"] > 2**53).all()
    assert log["event_time"].dtype == pl.Datetime("us") and {"date", "country"} <= set(log.columns)
    catalogue = pl.read_parquet(tmp_path / "hive" / "catalogue.parquet")
    assert len(catalogue) == 3 * tastes.options.num_items > log["product_id"].n_unique()
    assert set(log["product_id"]) <= set(catalogue["product_id"])


def test_the_seed_decides(raw_files: ModuleType, tmp_path: Path) -> None:
    def written(name: str, seed: int) -> str:
        raw_files.MAKERS["microlens"](tmp_path / name, raw_files.Tastes(NUM_INTERACTIONS, seed))
        return (tmp_path / name / "MicroLens-made_pairs.csv").read_text()

    assert written("a", 1) == written("b", 1) != written("c", 2)
