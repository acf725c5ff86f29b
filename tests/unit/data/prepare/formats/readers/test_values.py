"""Times, missing values, filters and weights from a log to the store, and every row accounted for."""

from __future__ import annotations

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
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.store.reader import Store
from tests.unit.data.prepare.stores import pairs

Make = Callable[..., Store]
TABLE: dict[str, Any] = {"format": "table", "split": "random", "split_shares": [0.5, 0.25, 0.25]}


def log(num_rows: int = 60, seed: int = 1) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "user": random.integers(2**60, 2**60 + 6, num_rows),
            "item": random.integers(0, 9, num_rows),
            "event": random.choice(["view", "like", "buy"], num_rows),
            "seconds": random.integers(0, 90, num_rows),
            "time": 1_714_557_600 + np.arange(num_rows),
        }
    )


def write(frame: pl.DataFrame, folder: Path, ending: str) -> str:
    path = folder / f"log{ending}"
    {".csv": frame.write_csv, ".jsonl": frame.write_ndjson, ".parquet": frame.write_parquet}[ending](path)
    return str(path)


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_a_filter_gives_the_store_of_the_filtered_log(folder: Path, make: Make, ending: str, tiny_blocks: None) -> None:
    frame = log()
    chosen = frame.filter((pl.col("event") != "view") | (pl.col("seconds") > 60))
    expected = make(**TABLE, **{"input": write(chosen, folder, ".parquet")}).manifest
    options = {"where": "event <> 'view' or seconds > 60"}
    lines: list[str] = []
    manifest = make(lines, **TABLE, **{"input": write(frame, folder, ending), "options": options}).manifest
    assert manifest.fingerprint == expected.fingerprint
    rows = manifest.settings["rows"]
    assert rows["read"] == len(frame) and rows["where"] == len(frame) - len(chosen)
    assert any(f"left out {rows['where']} rows not chosen by `where`" in line for line in lines)


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_missing_values_are_refused_together_or_left_out(
    folder: Path, make: Make, ending: str, tiny_blocks: None
) -> None:
    frame = log()
    is_hole = {"user": [3, 17], "item": [17, 30, 31], "time": [40]}
    holes = frame.with_columns(
        pl.when(~pl.int_range(pl.len()).is_in(rows)).then(pl.col(name)).alias(name) for name, rows in is_hole.items()
    )
    whole = frame.filter(~pl.int_range(pl.len()).is_in([3, 17, 30, 31, 40]))
    options = {"timestamp_column": "time"}
    expected = make(**TABLE, input=write(whole, folder, ".parquet"), options=options).manifest
    section = {**TABLE, "input": write(holes, folder, ending)}
    with pytest.raises(UserError) as refusal:
        make(**section, options=options)
    assert "2 without 'user'" in str(refusal.value) and "3 without 'item'" in str(refusal.value)
    assert "1 without 'time'" in str(refusal.value) and "prepare.options.nulls=drop" in str(refusal.value)
    manifest = make(**section, options={**options, "nulls": "drop"}).manifest
    assert manifest.fingerprint == expected.fingerprint
    assert manifest.settings["rows"]["nulls"] == 5


def test_ids_of_64_bits_beside_nulls_keep_their_digits(folder: Path, make: Make) -> None:
    frame = log().with_columns(pl.when(pl.int_range(pl.len()) != 4).then("user").alias("user"))
    store = make(**TABLE, input=write(frame, folder, ".parquet"), options={"nulls": "drop"})
    assert store.ids("users").to_pylist() == sorted(frame["user"].drop_nulls().unique())
    floats = frame.with_columns(pl.col("user").cast(pl.Float64))  # what pandas makes of them
    with pytest.raises(UserError, match=r"log\.parquet, row 0: user 1.1529.*e\+18 is a floating-point number, which"):
        make(**TABLE, input=write(floats, folder, ".parquet"), options={"nulls": "drop"})


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(5, 80), st.sampled_from([1.0, 2.0, 4.5]), st.booleans())
def test_weights_of_a_pair_add_up(tmp_path_factory: Any, seed: int, num_rows: int, least: float, timed: bool) -> None:
    folder = tmp_path_factory.mktemp("weights")
    frame = log(num_rows, seed)
    weight = pl.col("event").replace_strict({"view": 0.0, "like": 1.0, "buy": 3.5})
    weighed = frame.with_columns(weight=weight).filter(pl.col("weight") > 0)
    heavy = weighed.filter(pl.col("weight").sum().over("user", "item") >= least)
    num_pairs = heavy.select("user", "item").unique().height
    options: dict[str, Any] = {"timestamp_column": "time"} if timed else {}
    section = {**TABLE, "input": write(frame, folder, ".csv"), "split_shares": [0.8, 0.1, 0.1]}
    section["options"] = {
        **options,
        "weight": "case event when 'buy' then 3.5 when 'like' then 1 else 0 end",
        "min_weight": least,
    }
    try:
        config = from_mapping(PrepareConfig, section)
        manifest = Store.open(prepare(config, folder / "store", lambda line: None)).manifest
    except UserError as error:
        assert "no" in str(error) and num_pairs < 40
        return
    assert sum(manifest.num_interactions.values()) == num_pairs
    rows = manifest.settings["rows"]
    assert rows.get("no_weight", 0) == len(frame) - len(weighed)
    assert rows["duplicates"] + rows["below_min_weight"] + num_pairs == len(weighed)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weight": "seconds"}, "weight and min_weight go together"),
        ({"weight": "seconds", "min_weight": 0}, "min_weight=0.* must be above 0"),
        ({"where": "sum(seconds) > 3"}, "where=.* is not allowed: a row must be decided by its own values"),
        ({"nulls": "keep"}, "nulls"),
        ({"weight": "seconds", "min_weight": 1e9}, "min_weight=1e.09 leaves no interaction; choose a smaller one"),
        ({"where": "seconds > 1000"}, "the input has no interactions"),
    ],
)
def test_options_that_cannot_be(folder: Path, make: Make, options: dict[str, Any], words: str) -> None:
    with pytest.raises((UserError, ValueError), match=words):
        make(**TABLE, input=write(log(), folder, ".csv"), options=options)


def test_times_of_two_units_are_refused(folder: Path, make: Make) -> None:
    frame = log().with_columns(pl.when(pl.int_range(pl.len()) < 30).then(pl.col("time") * 1000).otherwise("time"))
    with pytest.raises(UserError, match=r"the times in time mix seconds \(.*line 32\) and milliseconds \(.*line 2\)"):
        make(**TABLE, input=write(frame, folder, ".csv"), options={"timestamp_column": "time"})


def test_iso_texts_give_the_store_of_datetimes(folder: Path, make: Make) -> None:
    frame = log().with_columns(time=pl.from_epoch(pl.col("time")).cast(pl.Datetime("us")))
    section = {**TABLE, "split": "leave_one_out", "options": {"timestamp_column": "time"}}
    expected = make(**section, input=write(frame, folder, ".parquet"))
    lines: list[str] = []
    for pattern in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S+0000"):
        texts = frame.with_columns(pl.col("time").dt.strftime(pattern))
        store = make(lines, **section, input=write(texts, folder, ".csv"))
        assert store.manifest.fingerprint == expected.manifest.fingerprint
    assert any("time holds texts, kept as microseconds since 1970, from 2024-05-01" in line for line in lines)
    assert pairs(store, "test") == pairs(expected, "test")
