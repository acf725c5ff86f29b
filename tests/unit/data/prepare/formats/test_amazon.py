"""`amazon`: every year's files give the same store, and what is no review is refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.amazon_items import IMAGE
from dualgnn_dist.data.store.reader import Store
from tests.unit.data.prepare.stores import every, pairs

Make = Callable[..., Store]
USERS, ITEMS = ["A1RSDE90N6RSZF", "A2CX7LUOHB2NDG"], ["0321732944", "B00006HAXW", "B081TJ8YS3"]
ROWS = [
    (user, item, 5 - (k == 1), 1588615855 + 9 * n + k) for n, user in enumerate(USERS) for k, item in enumerate(ITEMS)
]


def text_of(kind: str) -> str:
    if kind == "json":
        keys = ("reviewerID", "asin", "overall", "unixReviewTime")
        return "\n".join(json.dumps({"verified": True, **dict(zip(keys, row, strict=True))}) for row in ROWS)
    if kind == "jsonl":
        keys = ("user_id", "parent_asin", "rating", "timestamp")
        return "\n".join(
            json.dumps({"images": [], "asin": f"v{row[1]}", **dict(zip(keys, row, strict=True))}) for row in ROWS
        )
    order = {"2014.csv": (0, 1, 2, 3), "2018.csv": (1, 0, 2, 3), "csv": (0, 1, 2, 3)}[kind]
    header = ["user_id,parent_asin,rating,timestamp"] if kind == "csv" else []
    return "\n".join([*header, *(",".join(str(row[k]) for k in order) for row in ROWS)])


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("kind", ["json", "jsonl", "csv", "2014.csv", "2018.csv"])
def test_reviews_of_every_year(folder: Path, make: Make, kind: str, is_packed: bool, tiny_blocks: None) -> None:
    path = folder / f"Games.{kind}{'.gz' if is_packed else ''}"
    path.write_bytes(gzip.compress(text_of(kind).encode()) if is_packed else text_of(kind).encode())
    store = make(format="amazon", input=str(path), split="leave_one_out")
    assert pairs(store, "test") == [(user, ITEMS[2]) for user in USERS]
    assert pairs(store, "train") == [(user, ITEMS[0]) for user in USERS]
    shares = {"split": "global_time", "split_shares": [0.5, 0.25, 0.25]}
    rows = make(format="amazon", input=str(path), **shares, options={"min_rating": 5}).manifest.settings["rows"]
    assert rows["read"] == 6 and rows["below_min_rating"] == 2


def reviews(folder: Path) -> dict[str, Any]:
    (folder / "Games.jsonl").write_text(text_of("jsonl"))
    return {"format": "amazon", "input": str(folder / "Games.jsonl"), "split": "leave_one_out"}


def test_what_the_files_say_of_items(folder: Path, make: Make) -> None:
    section = reviews(folder)
    metas = [
        {"parent_asin": ITEMS[2], "categories": ["Games", "PC"], "store": None, "title": "t"},
        {"parent_asin": ITEMS[0], "categories": [], "store": "Shop", "title": "t"},
        {"parent_asin": "B000000000", "categories": ["Toys"], "store": "Shop", "title": "t"},
    ]
    (folder / "meta_Games.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, metas)).encode()))
    images = np.zeros(2, dtype=IMAGE)
    images["asin"], images["vector"] = [ITEMS[1].encode(), b"B000000000"], [[3.0], [4.0]]
    images.tofile(folder / "image_features_Games.b")
    modalities = {"kind": "categories", "store": "store", "image": "image_features_Games.b"}
    store = make(**section, modalities=modalities)
    assert every(store, "kind").tokens.tolist() == [0, 1] and every(store, "kind").present.tolist() == [0, 0, 1]
    assert every(store, "store").present.tolist() == [1, 0, 0]
    assert every(store, "image").values[:, 0].tolist() == [0, 3, 0]
    assert every(store, "image").values.shape == (3, 4096)
    with pytest.raises(UserError, match=r"modality 't': title is text, .*docs/raw-content\.md"):
        make(**section, modalities={"t": "title"})
    with pytest.raises(UserError, match=r"meta_Games\.jsonl\.gz has no column 'stores'; did you mean 'store'"):
        make(**section, modalities={"t": "stores"})
    (folder / "image_features_Games.b").write_bytes(b"short")
    with pytest.raises(UserError, match=r"has 5 bytes, which are not whole records of 16,394"):
        make(**section, modalities={"image": "image_features_Games.b"})
    (folder / "meta_Games.jsonl.gz").write_bytes(gzip.compress(b"{'asin': 'B000000000'}\n"))
    with pytest.raises(UserError, match=r"meta_Games\.jsonl\.gz, line 1: .*; this is Python's notation"):
        make(**section, modalities={"kind": "categories"})


def test_variants_are_items_where_asked_for(folder: Path, make: Make) -> None:
    store = make(**reviews(folder), options={"item_id": "asin"})
    assert store.ids("items").to_pylist() == [f"v{item}" for item in ITEMS]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"user_id": "A2CX7LUOHB2NDG", ', "", r"1 without 'user_id' \(the first: .*Games\.jsonl, line 4\)"),
        ('"rating": 4', '"rating": "x"', r"Games\.jsonl, line 2: rating 'x' is not a number"),
        ('"rating": 4', '"rating": ', r"Games\.jsonl, line 2: .* is no JSON"),
        ("user_id", "who", r"Games\.jsonl holds no reviews: .* but images, asin, who"),
    ],
)
def test_bad_reviews(folder: Path, make: Make, old: str, new: str, message: str) -> None:
    section = reviews(folder)
    path = Path(section["input"])
    path.write_text(path.read_text().replace(old, new, -1 if old == "user_id" else 1))
    with pytest.raises(UserError, match=message):
        make(**section, options={"min_rating": 1})


def test_files_that_are_not_reviews(folder: Path, make: Make) -> None:
    for name, text, message in (
        ("a.csv", b"x,y,1,2\n", r"a\.csv, line 1: 'x,y,1,2' is neither the header of 2023 nor a user and an item"),
        ("a.txt", b"x", r"a\.txt: unknown ending, known are \.json, \.jsonl, \.csv, and \.gz"),
        ("a.json", b"", r"a\.json cannot be read: it holds no JSON object"),
        ("a.json", b"[1]\n", r"a\.json, line 1: this is one JSON array"),
        (
            "a.json.gz",
            gzip.compress(text_of("json").encode())[:-30],
            r"a\.json\.gz cannot be read: ",
        ),
        ("b.json.gz", b"no gzip", r"b\.json\.gz, line 1: b'no gzip' is no JSON"),
    ):
        (folder / name).write_bytes(text)
        with pytest.raises(UserError, match=message):
            make(format="amazon", input=str(folder / name), split="random")
