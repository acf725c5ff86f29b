"""Files as other projects lay them out, good and bad: from the file to the store or to the message."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from dualgnn_dist.base.config import build
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare import reading
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.formats import dualgnn, movielens
from dualgnn_dist.data.prepare.formats.readers import columns, lists, tensor
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.store.reader import Store

Make = Callable[..., Store]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """`make(**section)`: a store of the folder `raw`."""
    (tmp_path / "raw").mkdir()

    def run(**section: Any) -> Store:
        section = {"input": str(tmp_path / "raw"), "overwrite": True, **section}
        config = build(PrepareConfig, section, "prepare")
        return Store.open(prepare(config, tmp_path / "store", say=lambda line: None))

    return run


@pytest.fixture
def folder(tmp_path: Path, make: Make) -> Path:
    return tmp_path / "raw"


@pytest.fixture
def tiny_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of one or two rows, so that every place and every list crosses one."""
    for module in (columns, movielens, dualgnn):
        monkeypatch.setattr(module, "BLOCK_ROWS", 2)
    for module in (lists, tensor):
        monkeypatch.setattr(module, "BLOCK_ITEMS", 2)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 1)


def pairs(store: Store, split: str) -> list[tuple[Any, Any]]:
    part = store.interactions(split)
    users = store.ids("users", part.users.to_numpy()).to_pylist()
    return sorted(zip(users, store.ids("items", part.items.to_numpy()).to_pylist(), strict=True))


def every(store: Store, name: str) -> Any:
    return store.features(name).gather(np.arange(store.manifest.num_items, dtype=np.int32))


# dualgnn: users 0 to 2, items 3 to 6.

TRAIN = np.array([[0, 3], [0, 4], [1, 3], [2, 5]])
VALID, TEST = [[0, 5], [1, 4, 5]], [[1, 6], [2]]
VECTORS = np.arange(8, dtype=np.float32).reshape(4, 2)


def save(path: Path, value: Any) -> None:
    """A list as the published code saves it: an array of lists, or of numbers where all are as long."""
    if isinstance(value, list) and len({len(row) for row in value}) > 1:
        rows, value = value, np.empty(len(value), dtype=object)
        value[:] = rows
    np.save(path, value, allow_pickle=True)


def published(folder: Path, **files: Any) -> dict[str, Any]:
    """Writes the files of the published layout; returns the section that reads them."""
    for name, value in {"train": TRAIN, "val_full": VALID, "test_full": TEST, **files}.items():
        save(folder / f"{name}.npy", value)
    return {"format": "dualgnn"}


def test_the_published_layout(folder: Path, make: Make, tiny_blocks: None) -> None:
    section = published(folder)
    np.save(folder / "v.npy", VECTORS.astype(np.float64))
    torch.save(torch.from_numpy(VECTORS).half(), folder / "a.pt")
    torch.save(torch.tensor([[2, 0, 2, 0, 2], [9, 1, 8, 1, 9]]), folder / "t.pt")
    store = make(**section, modalities={"v": "v.npy", "a": "a.pt", "t": "t.pt"})
    assert pairs(store, "train") == [(0, 0), (0, 1), (1, 0), (2, 2)]
    assert pairs(store, "valid") == [(0, 2), (1, 1), (1, 2)] and pairs(store, "test") == [(1, 3)]
    assert store.user_cooccurrence.row(0).tolist() == [1]
    for name, dtype in (("v", "float32"), ("a", "float16")):
        feature = every(store, name)
        assert feature.values.tolist() == VECTORS.tolist() and feature.present.all()
        assert store.manifest.modalities[name].dtype == dtype
    feature = every(store, "t")
    assert (feature.offsets.tolist(), feature.tokens.tolist()) == ([0, 2, 2, 5, 5], [1, 1, 9, 8, 9])
    assert feature.present.tolist() == [True, False, True, False]
    assert store.manifest.modalities["t"].dimension == 10
    assert set(store.manifest.sources) == {"train.npy", "val_full.npy", "test_full.npy", "v.npy", "a.pt", "t.pt"}


def test_files_and_sizes_by_name(folder: Path, make: Make) -> None:
    published(folder)
    for name in ("train", "val_full", "test_full"):
        (folder / f"{name}.npy").rename(folder / f"{name}_tik.npy")
    options: dict[str, Any] = {"train": "train_tik.npy", "valid": "val_full_tik.npy", "test": "test_full_tik.npy"}
    store = make(format="dualgnn", options={**options, "num_users": 3, "num_items": 9})
    assert (store.manifest.num_users, store.manifest.num_items) == (3, 9)
    assert (make(format="dualgnn", options=options).manifest.num_items) == 4
    np.save(folder / "v.npy", np.zeros((7, 2), dtype=np.float32))
    assert make(format="dualgnn", options=options, modalities={"v": "v.npy"}).manifest.num_items == 7
    with pytest.raises(UserError, match=r"prepare\.options'?: num_users=0 must be at least 1"):
        make(format="dualgnn", options={"num_users": 0})


def test_a_user_without_items_before_the_first_item(folder: Path, make: Make) -> None:
    shifted = {"train": TRAIN + np.array([0, 2]), "val_full": [[0, 7], [1, 6, 7]], "test_full": [[1, 8], [4]]}
    assert make(**published(folder, **shifted)).manifest.num_users == 5
    assert make(format="dualgnn", options={"num_users": 4}).manifest.num_items == 5  # row 0 has no interaction


USER_ITEMS = collections.defaultdict(set, {0: {3, 4}, np.int64(1): {np.int64(3)}, 2: {5}})


def test_a_dict_that_agrees_changes_nothing(folder: Path, make: Make) -> None:
    section = published(folder, user_item_dict=np.array(USER_ITEMS))
    store = make(**section, options={"user_items": "user_item_dict.npy"})
    assert "user_item_dict.npy" in store.manifest.sources
    assert make(**section).manifest.fingerprint == store.manifest.fingerprint
    lists_of_arrays = {0: np.array([4, 3]), 1: [3], 2: frozenset([5])}
    make(**published(folder, user_item_dict=np.array(lists_of_arrays)), options={"user_items": "user_item_dict.npy"})


def test_co_users_are_counted_not_read(folder: Path, make: Make) -> None:
    section = published(folder, user_graph_dict=np.array({0: [[2], [9.0]]}))
    with pytest.raises(UserError, match=r"config key 'prepare\.options\.user_graph'; did you mean 'user_items'"):
        make(**section, options={"user_graph": "user_graph_dict.npy"})
    assert make(**section).user_cooccurrence.row(0).tolist() == [1]


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        (
            {"train": TRAIN.astype(float)},
            {},
            r"train.npy must hold whole numbers of shape \[interactions, 2\], not",
        ),
        ({"train": TRAIN[:, :1]}, {}, r"train.npy must hold whole numbers of shape .*, not int64 \[4, 1\]"),
        ({"train": [[0, 3], [1]]}, {}, r"train.npy must hold whole numbers of shape .*, not object \[2\]"),
        (
            {"train": TRAIN - [[1, 0]] * 4},
            {},
            r"train.npy, row 0: user -1 is not in \[0, 3\); num_users is the smallest",
        ),
        (
            {"train": TRAIN[:, ::-1]},
            {},
            r"train.npy, row 0: user 3 is not in \[0, 0\); .* set prepare.options.num_users",
        ),
        ({}, {"num_users": 4}, r"train.npy, row 0: item 3 is not in \[4, 7\); num_users is that of prepare.options"),
        (
            {},
            {"num_users": 2},
            r"train.npy, row 3: user 2 is not in \[0, 2\); num_users is that of prepare.options; i",
        ),
        ({}, {"num_items": 3}, r"test_full.npy, row 0: item 6 is not in \[3, 6\)"),
        ({"val_full": [[0, 5], [9, 5, 6]]}, {}, r"val_full.npy, row 1: user 9 is not in \[0, 3\)"),
        ({"val_full": [[0, 5], [1, 1 << 40, 4]]}, {}, r"val_full.npy, row 1: 1099511627776 is not a whole number in"),
        ({"val_full": [[0, 5], [1, 4, -5]]}, {}, r"val_full.npy, row 1: -5 is not a whole number in \[0, 2147483648\)"),
        ({"val_full": [[0, 5], [1, 4.0, 5]]}, {}, r"val_full.npy, row 1: 4.0 is not a whole number"),
        ({"val_full": [[0, 5], [1, [4], 5]]}, {}, r"val_full.npy, row 1: a list is not a whole number"),
        ({"val_full": [[0, 5], []]}, {}, r"val_full.npy, row 1: the list is empty; it must begin with a user"),
        ({"val_full": [[0, 5], {1, 4, 5}]}, {}, r"val_full.npy, row 1: there must be a list of ids, not set"),
        ({"val_full": np.array([0, 5])}, {}, r"val_full.npy, row 0: there must be a list of ids, not int"),
        ({"val_full": np.array({0: [5]})}, {}, r"val_full.npy must hold lists 'user, item, ...', not object \[\]"),
        (
            {"val_full": np.array([[0.0, 5.0]])},
            {},
            r"val_full.npy must hold lists 'user, item, ...', not float64 \[",
        ),
        ({"val_full": []}, {}, r"the split 'given' leaves no valid interaction of 5"),
        ({"train": TRAIN[:0], "val_full": [[1]], "test_full": []}, {}, "and the files beside it have no interactions"),
        ({"train": TRAIN + (1 << 31)}, {}, r"item 2147483653 is not below 2147483648; items are numbered after"),
        ({}, {"test": "tset_full.npy"}, r"tset_full.npy does not exist; did you mean 'test_full.npy'"),
        ({}, {"valid": "pickle.npy"}, r"pickle.npy is not a .npy file"),
        ({}, {"valid": "attack.npy"}, r"attack.npy cannot be read: it asks for '\w+\.system'\. Nothing but numbers"),
        (
            {"d": np.array({0: {3, 4, 6}, 1: {3}, 2: {5}})},
            {"user_items": "d.npy"},
            r"d.npy says that user 0 has item 6, .*train.npy does not \(1 such pairs\); leave out prepare.options.user",
        ),
        (
            {"d": np.array({0: {3}, 1: {3}})},
            {"user_items": "d.npy"},
            r"train.npy says that user 0 has item 4, .*d.npy does not \(2 such pairs\)",
        ),
        ({"d": np.array({0: 3})}, {"user_items": "d.npy"}, "d.npy, user 0: there must be a list of ids, not int"),
        ({"d": np.array({"a": {3}})}, {"user_items": "d.npy"}, "d.npy, users: 'a' is not a whole number"),
        ({"d": [[0, 3], [1]]}, {"user_items": "d.npy"}, r"d.npy must hold one dict of users, not object \[2\]"),
        ({"d": TRAIN}, {"user_items": "d.npy"}, r"d.npy must hold one dict of users, not int64 \[4, 2\]"),
    ],
)
def test_bad_published_files(
    folder: Path, make: Make, files: dict[str, Any], options: dict[str, Any], message: str, tiny_blocks: None
) -> None:
    section = published(folder, **files, attack=np.array(Attack(folder / "touched"), dtype=object))
    (folder / "pickle.npy").write_bytes(b"no array")
    with pytest.raises(UserError, match=message):
        make(**section, options=options)
    assert not (folder / "touched").exists()


class Attack:
    """Its pickle creates a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (torch.ones(3, 2), "modality 'v' has 3 rows, but there are 4 items; the first without a row is 3"),
        (torch.ones(5, 2), "v.pt has 5 item rows, but prepare.options.num_items is 4"),
        (torch.ones(4), r"v.pt must hold numbers of shape \[items, D\], not float32 \[4\]"),
        (torch.tensor(1.0), r"v.pt must hold numbers of shape \[items, D\], not float32 \[\]"),
        (torch.ones(4, 2, dtype=torch.complex64), r"v.pt must hold numbers of shape \[items, D\], not complex64"),
        (torch.tensor([[0, -1], [5, 5]]), r"v.pt, column 1: item row -1 is not in \[0, 2147483648\)"),
        (torch.tensor([[0, 1], [5, -6]]), r"v.pt, column 1: word -6 is not in \[0, 2147483648\)"),
        (torch.tensor([[0, 4], [5, 5]]), "v.pt has 5 item rows, but prepare.options.num_items is 4"),
        (torch.full((4, 2), torch.inf), "v.pt, row 0: a value is NaN or infinite"),
        ([torch.ones(4, 2)], "v.pt must hold one dense tensor, not a list"),
    ],
)
def test_bad_tensors(folder: Path, make: Make, matrix: Any, message: str) -> None:
    torch.save(matrix, folder / "v.pt")
    with pytest.raises(UserError, match=message):
        make(**published(folder), modalities={"v": "v.pt"}, options={"num_items": 4})


def test_tensor_files_that_run_programs_and_other_files(folder: Path, make: Make) -> None:
    section = published(folder)
    torch.save(Attack(folder / "touched"), folder / "v.pt")
    np.save(folder / "o.npy", VECTORS.astype(object), allow_pickle=True)
    (folder / "v.txt").write_text("1 2")
    for file, message in (
        ("v.pt", r"v\.pt asks for '\w+\.system'\. It was not loaded, since it could hide a program"),
        ("o.npy", r"o\.npy is not a \.npy file of numbers"),
        ("v.txt", r"v\.txt must be a \.npy or \.pt file"),
        ("w.pt", r"w\.pt does not exist; did you mean 'v\.pt'"),
    ):
        with pytest.raises(UserError, match=message):
            make(**section, modalities={"v": file})
    assert not (folder / "touched").exists()


# recbole

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
        ('b\t"q\t5\t104', '\t"q\t5\t104', "small.inter, line 5: user_id None is not an id"),
        ('b\t"q\t5\t104', 'b\t"q\t5', "small.inter, line 5: there are 3 values with tabs between them, but 4 columns"),
        ('b\t"q\t5\t104', 'b\t"q\t5\tsoon', "small.inter, line 5: timestamp 'soon' is not a number or a time"),
        ('b\t"q\t5\t104', 'b\t"q\t?\t104', "small.inter, line 5: rating '.' is not a number"),
        ('b\t"q\t5\t104', 'b\t"q\t5\t104\t1', "small.inter, line 5: there are 5 values with tabs between them, but 4"),
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
            "small.item, line 6: there are 7 values with tabs",
        ),
        ("w\tcat", "x\tcat", "small.item, line 6: item 'x' has a row already"),
        ("w\tcat", "\tcat", "small.item, line 6: item_id None is not an id"),
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
    with pytest.raises(UserError, match="modality 'visual' has no value for any item; leave it out"):
        make(**ATOMIC, modalities={"visual": "emb"})


# movielens

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
        ({"w": "w.npy"}, {}, r"modality 'w': .*w\.npy says nothing of its rows' items; set prepare\.options\.item_id_"),
        ({"t": "t.parquet"}, {}, r"t\.parquet has no column 'movieId'"),
        ({"t": "u.parquet"}, {}, r"u\.parquet does not exist; did you mean"),
        ({"t": "w.txt"}, {}, r"modality 't': .*w\.txt must be a \.npy or \.parquet file"),
        ({}, {"item_id_files": {"w": "w.txt"}}, "item_id_files names 'w', which is no .npy modality"),
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
        ("ratings.dat", "1::30", "1::", "ratings.dat, line 3: movieId '' is not a whole number of at least 0$"),
        ("ratings.dat", "::104", "::now", "ratings.dat, line 3: timestamp 'now' is not a number or a time"),
        ("ratings.dat", "30::4::", "30::::", "ratings.dat, line 3: rating '' is not a number"),
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
        ("u.data", "1\t30\t4\t104", "1 30 4 104", r"u.data, line 3: there are 1 values with '\\t' between them, not 4"),
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
        ("u1.base", r"u1\.base: unknown ending, known are \.csv, \.dat, \.data; other files are for 'table'"),
        ("u.dat", r"u\.dat does not exist; did you mean 'u\.data'"),
        ("rating.csv", "the input has no interactions"),
    ):
        with pytest.raises(UserError, match=message):
            make(**LENS, input=str(folder / name))
    with pytest.raises(UserError, match=r"the format 'movielens' needs prepare\.input, the file of the ratings or its"):
        make(**LENS, input=None)
    (folder / "rating.csv").write_text("userId,movieId,rating,timestamp\n")
    with pytest.raises(UserError, match="the input has no interactions"):
        make(**LENS, input=str(folder / "rating.csv"))
