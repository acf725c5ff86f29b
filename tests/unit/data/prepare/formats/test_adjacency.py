"""`adjacency`: lines of a user's items, good and bad, from the file to the store or to the message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from tests.unit.data.prepare.stores import pairs

Make = Callable[..., Store]


def test_bad_lines_are_named(folder: Path, make: Make) -> None:
    (folder / "train.txt").write_text("0 1 2\n\n1   0\t2 \n2\n")
    (folder / "valid.txt").write_text("0 0\n")
    (folder / "test.txt").write_text("1 1")
    store = make(format="adjacency")
    assert pairs(store, "train") == [(0, 1), (0, 2), (1, 0), (1, 2)] and pairs(store, "test") == [(1, 1)]
    (folder / "train.txt").write_text("0 1 2\n\n1 0 x\n")
    with pytest.raises(UserError, match=r"train\.txt, line 3: item 'x' is not a whole number of at least 0"):
        make(format="adjacency")
    (folder / "train.txt").write_text("0 1 2\n-1 0\n")
    with pytest.raises(UserError, match=r"train\.txt, line 2: user '-1' is not a whole number of at least 0"):
        make(format="adjacency")


def test_a_random_split_where_there_are_no_labels(folder: Path, make: Make) -> None:
    (folder / "train.txt").write_text("".join(f"{u} {' '.join(map(str, range(12)))}\n" for u in range(9)))
    section = {"format": "adjacency", "options": {"valid": None, "test": None}}
    with pytest.raises(UserError, match="'given' leaves no valid interaction of 108; choose another"):
        make(**section)
    assert sum(make(**section, split="random").manifest.num_interactions.values()) == 108


def test_a_missing_file_is_named(folder: Path, make: Make) -> None:
    (folder / "train.tx").write_text("0 1\n")
    with pytest.raises(UserError, match=r"train\.txt does not exist; did you mean 'train\.tx'"):
        make(format="adjacency")
    assert not (folder.parent / "store").exists()
