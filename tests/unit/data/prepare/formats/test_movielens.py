"""`movielens`: ratings in every layout, good and bad, from the file to the store or to the message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from tests.unit.data.prepare.stores import every, pairs

Make = Callable[..., Store]

RATINGS = [(1, 10, 5, 100), (1, 20, 3.5, 103), (1, 30, 4, 104), (2, 10, 1, 90), (2, 30, 4.5, 91), (2, 20, 4, 80)]
LENS: dict[str, Any] = {"format": "movielens", "split": "leave_one_out"}
LAYOUTS = {"ratings.csv": ",", "ratings.dat": "::", "u.data": "\t"}


def ratings(folder: Path, name: str = "ratings.dat", old: str = "", new: str = "") -> Path:
    lines = [LAYOUTS[name].join(map(str, row)) for row in RATINGS]
    if name.endswith(".csv"):
        lines = ["userId,movieId,rating,timestamp", *lines]
    (folder / name).write_text("\n".join(lines).replace(old, new, 1 if old else 0) + "\n")
    return folder / name


@pytest.mark.parametrize("name", LAYOUTS)
def test_ratings_in_every_layout(folder: Path, make: Make, name: str, tiny_blocks: None) -> None:
    path = ratings(folder, name)
    store = make(**LENS)
    assert pairs(store, "train") == [(1, 10), (2, 20)]
    assert pairs(store, "valid") == [(1, 20), (2, 10)] and pairs(store, "test") == [(1, 30), (2, 30)]
    times = store.interactions("test").timestamps
    assert times is not None and sorted(times.to_numpy()) == [91, 104]
    assert make(**LENS, input=str(path)).manifest.fingerprint == store.manifest.fingerprint
    path.write_text(path.read_text().replace("\n", "\n\n"))  # empty lines
    assert make(**LENS).manifest.fingerprint == store.manifest.fingerprint


def test_low_ratings_are_no_interactions(folder: Path, make: Make) -> None:
    ratings(folder)
    store = make(**LENS, options={"min_rating": 3.5})
    assert pairs(store, "train") == [(1, 10), (2, 20)] and pairs(store, "valid") == [(1, 20)]
    assert pairs(store, "test") == [(1, 30), (2, 30)]


def test_features_of_films(folder: Path, make: Make) -> None:
    ratings(folder)
    vectors = [[1.0], [2.0], [3.0]]
    pl.DataFrame({"movieId": [30, 99, 10], "v": vectors}).write_parquet(folder / "v.parquet")
    pl.DataFrame({"film": [99, 99, 10], "t": [[7], [8], [1, 2]]}).write_parquet(folder / "t.parquet")
    np.save(folder / "w.npy", np.array(vectors))
    (folder / "w.txt").write_text("30\n99\n10\n")
    store = make(**LENS, modalities={"v": "v.parquet", "w": "w.npy"}, options={"item_id_files": {"w": "w.txt"}})
    for name in "vw":
        feature = every(store, name)
        assert feature.values.tolist() == [[3], [0], [1]] and feature.present.tolist() == [True, False, True]
    assert set(store.manifest.sources) == {"ratings.dat", "v.parquet", "w.npy", "w.txt"}
    store = make(**LENS, modalities={"t": "t.parquet"}, options={"item_column": "film"})
    assert every(store, "t").tokens.tolist() == [1, 2] and store.manifest.modalities["t"].dimension == 3
    for modalities, options, message in (
        (
            {"w": "w.npy"},
            {},
            r"modality 'w': .*w\.npy says nothing of its rows' items; name .*prepare\.mod",
        ),
        ({"t": "t.parquet"}, {}, r"t\.parquet has no column 'movieId'"),
        ({"t": "u.parquet"}, {}, r"u\.parquet does not exist; did you mean"),
        ({"t": "w.txt"}, {}, r"w\.txt has no column 'movieId'"),
        ({}, {"item_id_files": {"w": "w.txt"}}, "item_id_files names 'w', which is no modality in a matrix"),
    ):
        with pytest.raises(UserError, match=message):
            make(**LENS, modalities=modalities, options=options)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "ratings.dat",
            "1::30::4::104",
            "1::30::4",
            "ratings.dat, line 3: there are 3 values with '::' between",
        ),
        ("ratings.dat", "1::30::4::104", "1\t30\t4\t104", "ratings.dat, line 3: there are 1 values with '::' between"),
        ("ratings.dat", "1::30", "one::30", "ratings.dat, line 3: userId 'one' is not a whole number of at least 0"),
        ("ratings.dat", "1::30", "1::", r"1 without 'movieId' .the first: .*ratings.dat, line 3."),
        ("ratings.dat", "::104", "::now", "ratings.dat, line 3: timestamp 'now' is not a moment as 2024-05-01T1"),
        ("ratings.dat", "30::4::", "30::::", r"1 without 'rating' .the first: .*ratings.dat, line 3."),
        ("ratings.csv", "1,30,4,104", "1,-30,4,104", "ratings.csv, line 4: movieId '-30' is not a whole number"),
        (
            "ratings.csv",
            "1,30,4,104",
            "1,30,4,104,",
            "ratings.csv, line 4: there are 5 values with ',' between them",
        ),
        (
            "ratings.csv",
            "userId",
            "user",
            "ratings.csv, line 1: the header must be userId,movieId,rating,timestamp",
        ),
        (
            "u.data",
            "1\t30\t4\t104",
            "1 30 4 104",
            r"u.data, line 3: there are 1 values with '\\t' between them, but 4 columns",
        ),
    ],
)
def test_bad_ratings(folder: Path, make: Make, name: str, old: str, new: str, message: str, tiny_blocks: None) -> None:
    path = ratings(folder, name)
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=message):
        make(**LENS, options={"min_rating": 1})


def test_folders_without_or_with_several_ratings(folder: Path, make: Make) -> None:
    with pytest.raises(UserError, match=r"raw holds none of ratings\.csv, ratings\.dat, u\.data; known are: none"):
        make(**LENS)
    (folder / "rating.csv").write_text("")
    with pytest.raises(UserError, match=r"holds none of .*; did you mean 'rating\.csv'"):
        make(**LENS)
    ratings(folder, "u.data")
    ratings(folder, "ratings.dat")
    with pytest.raises(UserError, match=r"holds ratings\.dat and u\.data; name one of them as prepare\.input"):
        make(**LENS)
    (folder / "u1.base").write_text("1\t2\t3\t4\n")
    for name, message in (
        ("u1.base", r"u1\.base: unknown ending, known are \.csv, \.dat, \.data, \.zip; other files are for 'table'"),
        ("u.dat", r"u\.dat does not exist; did you mean 'u\.data'"),
        ("rating.csv", r"rating\.csv cannot be read: it is empty; its first line must name the columns"),
    ):
        with pytest.raises(UserError, match=message):
            make(**LENS, input=str(folder / name))
    with pytest.raises(UserError, match=r"the format 'movielens' needs prepare\.input, the file of the ratings, its"):
        make(**LENS, input=None)
    (folder / "rating.csv").write_text("userId,movieId,rating,timestamp\n")
    with pytest.raises(UserError, match="the input has no interactions"):
        make(**LENS, input=str(folder / "rating.csv"))
