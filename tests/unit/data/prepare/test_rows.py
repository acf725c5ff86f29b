"""Every row of the input is read, dropped by a rule that the user set, or refused; what decides an order decides it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from tests.unit.data.prepare.stores import pairs

Make = Callable[..., Store]
NUM_USERS, NUM_ITEMS = 12, 8


def write_log(path: Path, time: Callable[[int], Any], title: Callable[[int], str] = str, separator: str = ",") -> Path:
    """Every user has every item; the moments of a user's items are a random order."""
    order = np.random.default_rng(4)
    lines = [separator.join(("user", "item", "time", "title"))]
    for user in range(NUM_USERS):
        for item, place in enumerate(order.permutation(NUM_ITEMS)):
            lines.append(separator.join((str(user), str(item), str(time(int(place))), title(len(lines)))))
    path.write_text("\n".join(lines) + "\n")
    return path


def last_items() -> dict[int, int]:
    order = np.random.default_rng(4)
    return {user: int(np.argmax(order.permutation(NUM_ITEMS))) for user in range(NUM_USERS)}


TIMES: dict[str, Callable[[int], Any]] = {
    "days": lambda k: f"{18500 + k / 20:.4f}",
    "seconds": lambda k: f"1600000000.{k * 9:03}",
    "nanoseconds": lambda k: f"1600000000.00000000{k}",  # closer than float64 tells apart
    "between 0 and 1": lambda k: k / NUM_ITEMS,
    "negative": lambda k: -1 + k / NUM_ITEMS,
    "exponents": lambda k: f"{1.6 + k * 1e-9:.12f}e9",
    "whole and fractions": lambda k: 7 if k == 0 else f"7.{k}",
    "whole": lambda k: 1_600_000_000 + k,
}


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("name", TIMES)
def test_the_latest_is_held_out_however_times_are_written(folder: Path, make: Make, name: str, ending: str) -> None:
    path = write_log(folder / "log.csv", TIMES[name])
    if ending == ".parquet":
        if name == "nanoseconds":
            pytest.skip("no float64 tells them apart")
        pl.read_csv(path, infer_schema_length=None).write_parquet(path.with_suffix(ending))
    section: dict[str, Any] = {"format": "table", "input": str(path.with_suffix(ending)), "split": "leave_one_out"}
    store = make(**section, options={"timestamp_column": "time"})
    assert dict(pairs(store, "test")) == last_items()
    if ending == ".csv":
        first = min(float(TIMES[name](k)) for k in range(NUM_ITEMS))
        times = store.interactions("train").timestamps
        assert times is not None and times.to_numpy().min() >= np.floor(first)  # stored as whole numbers
        lines = path.read_text().replace(
            "user,item,time,title", "user_id:token\titem_id:token\ttimestamp:float\tt:token"
        )
        (folder / "x.inter").write_text(lines.replace(",", "\t"))
        other = make(format="recbole", split="leave_one_out", options={"id_type": "integer"})
        assert dict(pairs(other, "test")) == last_items()


def test_the_earliest_of_doubles_stays_by_its_fraction(folder: Path, make: Make) -> None:
    (folder / "log.csv").write_text("user,item,t\n" + "".join(f"0,{k},{k}.5\n0,{k},{k}.25\n" for k in range(4)))
    store = make(
        format="table", input=str(folder / "log.csv"), split="leave_one_out", options={"timestamp_column": "t"}
    )
    assert pairs(store, "test") == [(0, 3)]
    assert store.manifest.settings["rows"]["duplicates"] == 4


NO_MOMENT = (
    r"log\.csv, line \d+: time '.*' is not a moment|12 without 'time' \(the first: .*log\.csv, line \d+\)"
    r"|mix numbers \(.*\) and microseconds in texts"
)


@pytest.mark.parametrize("value", ["nan", "inf", "1e300", "9223372036854775808", "", "soon", "2020-01-01"])
def test_what_is_no_moment_is_refused(folder: Path, make: Make, value: str) -> None:
    path = write_log(folder / "log.csv", lambda k: value if k == 3 else k)
    with pytest.raises(UserError, match=NO_MOMENT):
        make(format="table", input=str(path), split="random", options={"timestamp_column": "time"})


@pytest.mark.parametrize("split", ["leave_one_out", "user_time", "global_time"])
@pytest.mark.parametrize("format", ["table", "recbole", "mmrec", "adjacency", "dualgnn", "synthetic"])
def test_a_split_by_time_without_times_is_refused(folder: Path, make: Make, format: str, split: str) -> None:
    section: dict[str, Any] = {"input": str(folder)}
    message = f"prepare.split is '{split}', which goes by time, but the format '{format}' has no times"
    if format == "table":
        section = {"input": str(write_log(folder / "log.csv", str))}
        message = (
            "log.csv has the columns user, item, time, title; name that of the times with prepare.options.timestamp"
        )
    elif format == "recbole":
        (folder / "x.inter").write_text("user_id:token\titem_id:token\ttime:float\nu\ti\t1\n")
        message = (
            "x.inter has the columns user_id, item_id, time; name that of the times with prepare.options.timestamp"
        )
    elif format == "mmrec":
        (folder / "x.inter").write_text("userID\titemID\tx_label\n0\t0\t0\n")
    elif format == "adjacency":
        for name in ("train", "valid", "test"):
            (folder / f"{name}.txt").write_text("0 1 2\n")
    elif format == "dualgnn":
        np.save(folder / "train.npy", np.array([[0, 2], [1, 3]]))
        for name in ("val_full", "test_full"):
            np.save(folder / f"{name}.npy", np.array([[0, 2], [1, 3]]))
    else:
        section, message = {"input": None}, "what the format 'synthetic' makes has no times"
    with pytest.raises(UserError) as error:
        make(format=format, split=split, **section)
    assert message in str(error.value)
    assert not (folder.parent / "store").exists()


@pytest.mark.parametrize("ending", [".csv", ".tsv"])
def test_marks_in_a_column_that_is_not_read_take_no_row(folder: Path, make: Make, ending: str) -> None:
    title = '7" single'.__add__
    separator = "," if ending == ".csv" else "\t"
    path = write_log(folder / f"log{ending}", str, lambda k: title("" if k % 9 else ' "live"'), separator)
    lines: list[str] = []
    store = make(lines, format="table", input=str(path), split="random")
    rows = {"read": 96, "below_min_rating": 0, "duplicates": 0, "k_core_interactions": 0, "interactions": 96}
    assert store.manifest.settings["rows"] == rows
    assert any("96 rows, 96 interactions" in line for line in lines)
    path = write_log(folder / f"bad{ending}", str, lambda k: '"live' if k in (5, 40) else "x", separator)
    with pytest.raises(
        UserError, match=r"line 6: a value begins with a quotation mark .* set prepare\.options\.quotes"
    ):
        make(format="table", input=str(path), split="random")
    cured = make(format="table", input=str(path), split="random", options={"quotes": "none"})
    assert cured.manifest.settings["rows"]["interactions"] == 96


def test_the_counts_add_up(folder: Path, make: Make) -> None:
    lines = [f"{user},{item},{1 + (user + item) % 5}\n" for user in range(9) for item in range(9)]
    lines += [*lines[:7], "77,0,5\n"]
    (folder / "log.csv").write_text("user,item,rating\n" + "\n".join(lines))
    options = {"rating_column": "rating", "min_rating": 2.0}
    said: list[str] = []
    store = make(said, format="table", input=str(folder / "log.csv"), split="random", options=options, k_core=2)
    rows = store.manifest.settings["rows"]
    assert rows["read"] == 89 and rows["interactions"] == sum(store.manifest.num_interactions.values())
    assert rows["below_min_rating"] == sum(line.endswith(",1\n") for line in lines)
    assert rows["k_core_interactions"] == 1 and 2 * rows["read"] == sum(rows.values())


@pytest.mark.parametrize("name", ["log[1].csv", "log?.csv", "lo*.csv", "log{1,2}.csv", "%20 log.csv", "log[1].parquet"])
def test_a_path_is_that_path(folder: Path, make: Make, name: str) -> None:
    others = ["log1.csv", "log2.csv", "lox.csv", "log1.parquet"]
    for file, num_users in [(name, 9), *((other, 5) for other in others)]:
        pairs = [(user, item) for user in range(num_users) for item in range(9)]
        frame = pl.DataFrame(pairs, schema=["user", "item"], orient="row")
        buffer = (folder / file).open("wb")
        with buffer:
            frame.write_parquet(buffer) if file.endswith(".parquet") else frame.write_csv(buffer)
    with (folder / "v[1].parquet").open("wb") as file:
        pl.DataFrame({"item": range(9), "v": [[float(k)] for k in range(9)]}).write_parquet(file)
    pl.DataFrame({"item": [0], "v": [[0.0]]}).write_parquet(folder / "v1.parquet")
    store = make(format="table", input=str(folder / name), split="random", modalities={"v": "v[1].parquet"})
    assert store.manifest.num_users == 9 and store.manifest.modalities["v"].num_present == 9


@pytest.mark.parametrize("user", [10**9, 2**31, 10**30, -1])
def test_an_enormous_row_index_is_refused(folder: Path, make: Make, user: int) -> None:
    (folder / "x.inter").write_text(f"userID\titemID\tx_label\n0\t0\t0\n{user}\t0\t1\n")
    with pytest.raises(UserError, match=r"x\.inter, line 3: userID '?-?\d+'? (cannot be a row index|is not a whole)"):
        make(format="mmrec")
    for name in ("train", "valid", "test"):
        (folder / f"{name}.txt").write_text(f"0 1\n\n1 {user}\n")
    with pytest.raises(UserError, match=r"train\.txt, line 3: item '?-?\d+'? (cannot be a row index|is not a whole)"):
        make(format="adjacency")
    if 0 < user < 2**62:
        np.save(folder / "train.npy", np.array([[0, 2], [1, user]]))
        for name in ("val_full", "test_full"):
            np.save(folder / f"{name}.npy", np.array([[0, 2], [1, 3]]))
        with pytest.raises(UserError, match=r"train\.npy, row 1: item \d+ cannot be a row index"):
            make(format="dualgnn")
    assert not (folder.parent / "store").exists()


@pytest.mark.parametrize("label", ["3", "256", "train", ""])
def test_a_label_that_is_none_is_refused_with_its_line(folder: Path, make: Make, label: str) -> None:
    (folder / "x.inter").write_text(f"userID\titemID\tx_label\n0\t0\t0\n0\t1\t{label}\n")
    with pytest.raises(UserError, match=r"x\.inter, line 3: x_label"):
        make(format="mmrec")
