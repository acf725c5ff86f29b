"""`dualgnn`: users 0 to 2, items 3 to 6, in the files of the published code, good and bad."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from tests.unit.data.prepare.stores import every, pairs

Make = Callable[..., Store]

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
        (
            {"train": TRAIN + (1 << 31)},
            {},
            r"train.npy, row 0: item 2147483651 cannot be a row index: ids of a file of this size lie below",
        ),
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
        (torch.ones(3, 2), "modality 'v' has 3 rows, which .*, but 1 of 4 items lack a row: 3$"),
        (torch.ones(5, 2), "v.pt has 5 item rows, but prepare.options.num_items is 4"),
        (torch.ones(4), r"v.pt must hold numbers of shape \[items, D\], not float32 \[4\]"),
        (torch.tensor(1.0), r"v.pt must hold numbers of shape \[items, D\], not float32 \[\]"),
        (torch.ones(4, 2, dtype=torch.complex64), r"v.pt must hold numbers of shape \[items, D\], not complex64"),
        (torch.tensor([[0, -1], [5, 5]]), r"v.pt, column 1: item row -1 is not in \[0, 1048576\)"),
        (torch.tensor([[0, 1 << 30], [5, 5]]), r"v.pt, column 1: item row 1073741824 is not in \[0, 1048576\)"),
        (torch.tensor([[0, 1], [5, 1 << 30]]), r"v.pt, column 1: word 1073741824 is not in \[0, 16777216\)"),
        (torch.tensor([[0, 1], [5, -6]]), r"v.pt, column 1: word -6 is not in \[0, 16777216\)"),
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
