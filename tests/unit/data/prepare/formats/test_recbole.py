"""`recbole`: atomic files, good and bad, from the file to the store or to the message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from tests.unit.data.prepare.stores import every, pairs

Make = Callable[..., Store]

INTER = """user_id:token\titem_id:token\trating:float\ttimestamp:float
b\tx\t5\t100
a\tx\t4\t101.9
a\ty z\t1\t103
b\t"q\t5\t104
b\tw\t4.5\t105
a\tw\t4\t106
"""
ITEM = """item_id:token\ttitle:token_seq\temb:float_seq\tprice:float\tclass:token\tplain
x\tthe  cat the\t1 2\t3.5\tbig one\t1
nowhere\tzoo\t9 9\t1\tzoo\t1
y z\t\t\t\t\t1
"q\t"the dog\t-1e-1 4\t\tbig\t1
w\tcat\t5 6.5\t7\tbig one\t1
"""
ATOMIC: dict[str, Any] = {"format": "recbole", "split": "leave_one_out"}


def atomic(folder: Path, inter: str = INTER, item: str = ITEM) -> None:
    (folder / "small.inter").write_text(inter)
    (folder / "small.item").write_text(item)


def test_atomic_files(folder: Path, make: Make, tiny_blocks: None) -> None:
    atomic(folder)
    modalities = {"text": "title", "visual": "emb", "cost": "price", "kind": "class"}
    store = make(**ATOMIC, modalities=modalities)
    items = ['"q', "w", "x", "y z"]
    assert store.ids("users").to_pylist() == ["a", "b"] and store.ids("items").to_pylist() == items
    assert pairs(store, "train") == [("a", "x"), ("b", "x")]  # by `timestamp`, found by its name
    assert pairs(store, "valid") == [("a", "y z"), ("b", '"q')] and pairs(store, "test") == [("a", "w"), ("b", "w")]
    times = store.interactions("valid").timestamps
    assert times is not None and sorted(times.to_numpy()) == [103, 104]
    visual, cost, text = (every(store, name) for name in ("visual", "cost", "text"))
    assert visual.present.tolist() == [True, True, True, False]
    np.testing.assert_array_equal(visual.values, np.array([[-0.1, 4], [5, 6.5], [1, 2], [0, 0]], dtype=np.float32))
    assert cost.values.tolist() == [[0], [7], [3.5], [0]] and cost.present.tolist() == [False, True, True, False]
    words = sorted(['"the', "cat", "dog", "the", "zoo"])
    assert [words[token] for token in text.tokens] == ['"the', "dog", "cat", "the", "cat", "the"]
    assert text.offsets.tolist() == [0, 2, 3, 6, 6] and text.present.tolist() == [True, True, True, False]
    assert every(store, "kind").tokens.tolist() == [0, 1, 1]  # `big one` is one value
    assert set(store.manifest.sources) == {"small.inter", "small.item"}


def test_atomic_options(folder: Path, make: Make) -> None:
    atomic(folder)
    first = make(**ATOMIC).manifest.fingerprint
    (folder / "other.inter").write_text(INTER.replace("user_id", "uid").replace("item_id", "iid"))
    with pytest.raises(UserError, match=r"must hold the \.inter files of one data set, there are: other, small; name"):
        make(**ATOMIC)
    columns = {"user_column": "uid", "item_column": "iid", "timestamp_column": "timestamp"}
    assert make(**ATOMIC, options={"dataset": "other", **columns}).manifest.fingerprint == first
    options = {"dataset": "small", "rating_column": "rating", "min_rating": 4.5}
    store = make(**{**ATOMIC, "split": "random", "split_shares": [0.4, 0.3, 0.3]}, options=options)
    assert store.ids("users").to_pylist() == ["b"] and store.manifest.num_items == 3
    with pytest.raises(UserError, match="rating_column and min_rating go together"):
        make(**ATOMIC, options={"rating_column": "rating"})
    with pytest.raises(UserError, match=r"small\.inter, line 2: user_id 'b' is not a whole number .*; for ids that"):
        make(**ATOMIC, options={"dataset": "small", "id_type": "integer"})
    for old, new in {"a": "1", "b": "0", "x": "10", "y z": "30", '"q': "5", "w": "7"}.items():
        inter = (folder / "small.inter").read_text()
        lines = [inter.splitlines()[0]] + [
            "\t".join(new if cell == old else cell for cell in line.split("\t")) for line in inter.splitlines()[1:]
        ]
        (folder / "small.inter").write_text("\n".join(lines) + "\n")
    store = make(**ATOMIC, options={"dataset": "small", "id_type": "integer"})
    assert store.ids("items").to_pylist() == [5, 7, 10, 30]


def test_rows_are_chosen_and_left_out_as_in_a_table(folder: Path, make: Make) -> None:
    atomic(folder)
    header, *lines = INTER.splitlines()
    (folder / "small.inter").write_text("\n".join([header, "\t" + lines[0].split("\t", 1)[1], *lines]))
    with pytest.raises(UserError, match=r"1 without 'user_id' \(the first: .*small\.inter, line 2\); .*nulls=drop"):
        make(**ATOMIC)
    rows = make(**ATOMIC, options={"nulls": "drop"}).manifest.settings["rows"]
    assert rows["read"] == len(lines) + 1 and rows["nulls"] == 1
    rows = make(**ATOMIC, options={"where": "user_id is not null"}).manifest.settings["rows"]
    assert rows["where"] == 1
    with pytest.raises(UserError, match=r"where=.*no column 'usr_id'; did you mean 'user_id'"):
        make(**ATOMIC, options={"where": "usr_id = 'a'"})


def test_benchmark_parts(folder: Path, make: Make) -> None:
    header, *lines = INTER.splitlines()
    for part, number in (("train", 0), ("dev", 1), ("test", 2)):
        (folder / f"small.{part}.inter").write_text("\n".join([header, *lines[number::3]]))
    section = {"format": "recbole", "options": {"parts": ["train", "dev", "test"]}}
    store = make(**section)
    assert pairs(store, "train") == [("b", '"q'), ("b", "x")] and pairs(store, "valid") == [("a", "x"), ("b", "w")]
    assert pairs(store, "test") == [("a", "w"), ("a", "y z")]
    (folder / "small.dev.inter").write_text(header.replace("\ttimestamp:float", ""))
    with pytest.raises(UserError, match=r"small\.dev\.inter has no column 'timestamp'; known are: item_id, rating"):
        make(**section)
    (folder / "small.dev.inter").unlink()
    with pytest.raises(UserError, match=r"small\.dev\.inter does not exist; did you mean 'small\.test\.inter'"):
        make(**section)
    with pytest.raises(UserError, match=r"small\.inter does not exist; did you mean 'small\.te"):
        make(**ATOMIC)
    with pytest.raises(UserError, match=r"prepare\.options\.parts=\['train'\] must be"):
        make(format="recbole", options={"parts": ["train"]})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("user_id:token", "uid:token", "small.inter has no column 'user_id'"),
        ("item_id:token\trating", "iid:token\trating", "small.inter has no column 'item_id'"),
        ("rating:float\ttimestamp", "user_id:float\ttimestamp", "small.inter, line 1: a column's name occurs twice"),
        ('b\t"q\t5\t104', '\t"q\t5\t104', r"1 without 'user_id' .the first: .*small.inter, line 5.; .*nulls=drop"),
        ('b\t"q\t5\t104', 'b\t"q\t5', "small.inter, line 5: there are 3 values with '.t' between them, but 4 columns"),
        ('b\t"q\t5\t104', 'b\t"q\t5\tsoon', "small.inter, line 5: timestamp 'soon' is not a moment"),
        ('b\t"q\t5\t104', 'b\t"q\t?\t104', "small.inter, line 5: rating '.' is not a number"),
        ('b\t"q\t5\t104', 'b\t"q\t5\t104\t1', "small.inter, line 5: there are 5 values with '.t' between them, but 4"),
        (INTER, "", "small.inter cannot be read"),
        (INTER, INTER.splitlines()[0], "the input has no interactions"),
        ("item_id:token\ttitle", "iid:token\ttitle", "small.item has no column 'item_id'"),
        ("emb:float_seq", "embedding:float_seq", "small.item has no column 'emb'; did you mean 'embedding'"),
        (
            "emb:float_seq",
            "emb",
            "small.item, line 1: the column 'emb' has the type ''; write emb:TYPE, with a TYPE",
        ),
        ("emb:float_seq", "emb:floats", "small.item, line 1: the column 'emb' has the type 'floats'; write emb:TYPE"),
        ("5 6.5", "5 6.5 7", "small.item, line 6: the vector has 3 values, the first one has 2"),
        ("5 6.5", "5 x", "small.item, line 6: emb '5 x' is not made of numbers"),
        ("5 6.5", "5 nan", "small.item, line 6: a value is NaN or infinite"),
        ("5 6.5\t7", "5 6.5\t7 8", "small.item, line 6: price '7 8' is not made of numbers"),
        (
            "5 6.5\t7\tbig one\t1",
            "5 6.5\t7\tbig one\t1\t1",
            "small.item, line 6: there are 7 values with '.t'",
        ),
        (
            "w\tcat",
            "x\tcat",
            "1 item ids .*, keep one row of each: 'x' .*small.item, line 2 and line 6",
        ),
        ("w\tcat", "\tcat", "small.item, line 6: item_id is empty; fill it in"),
        (ITEM, ITEM.splitlines()[0], "the column 'emb' has no vector"),
    ],
)
def test_bad_atomic_files(folder: Path, make: Make, old: str, new: str, message: str, tiny_blocks: None) -> None:
    assert (old in INTER) != (old in ITEM)
    atomic(folder, INTER.replace(old, new, 1), ITEM.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        make(
            **ATOMIC,
            modalities={"visual": "emb", "cost": "price"},
            options={"rating_column": "rating", "min_rating": 1, "dataset": "small"},
        )


def test_atomic_folders_that_lack_files(folder: Path, make: Make) -> None:
    with pytest.raises(UserError, match=r"must hold the \.inter files of one data set, there are: none; name it with"):
        make(**ATOMIC)
    (folder / "small.inter").write_text(INTER)
    with pytest.raises(UserError, match=r"small\.item does not exist; did you mean 'small\.inter'"):
        make(**ATOMIC, modalities={"visual": "emb"})
    with pytest.raises(UserError, match=r"the format 'recbole' needs prepare\.input, the folder of its files"):
        make(**ATOMIC, input=None)
    (folder / "small.item").write_text("item_id:token\temb:float_seq\nnowhere\t1 2\n")
    with pytest.raises(UserError, match=r"none of the 1 ids of .*small\.item is an item of the log; .* the file 'now"):
        make(**ATOMIC, modalities={"visual": "emb"})
