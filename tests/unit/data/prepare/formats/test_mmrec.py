"""`mmrec`: a labelled file, good and bad, from the file to the store or to the message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store

Make = Callable[..., Store]

INTER = "userID\titemID\tx_label\n0\t0\t0\n0\t1\t1\n1\t2\t2\n1\t0\t0\n"
VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)


@pytest.mark.parametrize(
    ("old", "new", "vectors", "message"),
    [
        ("itemID", "iid", VECTORS, "small.inter has no column 'itemID'"),
        ("1\t2\t2", "1\t-2\t2", VECTORS, "small.inter, line 4: itemID '-2' is not a whole number of at least 0"),
        ("1\t2\t2", "1\t2\t7", VECTORS, "small.inter, line 4: x_label 7 is no split label; labels are"),
        ("1\t2\t2", "1\t2\t0", VECTORS, "the split 'given' leaves no test interaction of 4"),
        (
            "",
            "",
            np.zeros((4, 2)),
            "1 rows of items that are in no interaction, the first is .*v.npy, row 3; remove",
        ),
        ("", "", np.zeros((2, 2)), "modality 'v' has 2 rows, which .*, but 1 of 3 items lack a row: 2$"),
        ("", "", np.array([[0.0], [np.inf], [0.0]]), "v.npy, row 1: a value is NaN or infinite"),
    ],
)
def test_bad_files(folder: Path, make: Make, old: str, new: str, vectors: np.ndarray, message: str) -> None:
    (folder / "small.inter").write_text(INTER.replace(old, new, 1))
    np.save(folder / "v.npy", vectors)
    with pytest.raises(UserError, match=message):
        make(format="mmrec", modalities={"v": "v.npy"})


def test_several_inter_files_want_a_name(folder: Path, make: Make) -> None:
    for name in ("a.inter", "b.inter"):
        (folder / name).write_text(INTER)
    with pytest.raises(UserError, match=r"must hold one \.inter file, there are: a\.inter, b\.inter; name it with"):
        make(format="mmrec")
    assert make(format="mmrec", options={"interactions": "b.inter"}).manifest.num_items == 3


def test_folders_without_interactions(folder: Path, make: Make) -> None:
    for section, message in (
        ({"input": None}, "the format 'mmrec' needs prepare.input, the folder of its files"),
        ({"input": str(folder / "stor")}, f"{folder}/stor is not a folder"),
        ({}, r"must hold one \.inter file, there are: none; name it with"),
    ):
        with pytest.raises(UserError, match=message):
            make(format="mmrec", **section)
    assert not (folder.parent / "store").exists()
