"""`microlens`: pairs with and without times, features by video, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats import microlens
from dualgnn_dist.data.store.reader import Store
from tests.unit.data.prepare.stores import every, pairs

Make = Callable[..., Store]
LISTS = {4: [3, 1, 5], 9: [1, 5, 3, 2]}


def write(folder: Path, *kinds: str) -> None:
    if "tsv" in kinds:
        lines = [f"{user}\t{' '.join(map(str, items))}" for user, items in LISTS.items()]
        (folder / "M_pairs.tsv").write_text("\n".join(lines) + "\n")
    if "csv" in kinds:
        rows = [f"{u},{i},{1_600_000_000_000 + k}" for u, items in LISTS.items() for k, i in enumerate(items)]
        (folder / "M_pairs.csv").write_text("\n".join(["user,item,timestamp", *reversed(rows)]) + "\n")


@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_pairs(folder: Path, make: Make, kind: str, tiny_blocks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microlens, "USERS", 1)
    write(folder, kind)
    store = make(format="microlens", split="leave_one_out")
    assert pairs(store, "test") == [(4, 5), (9, 2)] and pairs(store, "valid") == [(4, 1), (9, 3)]
    assert pairs(store, "train") == [(4, 3), (9, 1), (9, 5)]
    assert store.manifest.settings["rows"]["read"] == 7
    times = store.interactions("test").timestamps
    first = 1_600_000_000_000 if kind == "csv" else 0
    assert times is not None and sorted(times.to_numpy() - first) == [2, 3]


def test_the_pairs_with_times_come_first(folder: Path, make: Make) -> None:
    write(folder, "csv", "tsv")
    assert set(make(format="microlens", split="leave_one_out").manifest.sources) == {"M_pairs.csv"}


def test_features_by_video(folder: Path, make: Make) -> None:
    write(folder, "tsv")
    (folder / "features").mkdir()
    np.save(folder / "features" / "v.npy", np.arange(6, dtype=np.float32)[:, None])
    np.save(folder / "w.npy", np.array([[7.0], [8.0]], dtype=np.float32))
    (folder / "w.txt").write_text("5\n99\n")
    modalities = {"v": "features/v.npy", "w": "w.npy"}
    store = make(
        format="microlens", split="leave_one_out", modalities=modalities, options={"item_id_files": {"w": "w.txt"}}
    )
    assert every(store, "v").values.ravel().tolist() == [0, 1, 2, 4]  # of the videos 1, 2, 3, 5
    assert every(store, "w").present.tolist() == [False, False, False, True]


def test_refusals(folder: Path, make: Make) -> None:
    with pytest.raises(UserError, match=r"raw holds no \*_pairs\.csv and no \*_pairs\.tsv"):
        make(format="microlens", split="leave_one_out")
    write(folder, "tsv")
    with pytest.raises(UserError, match=r"modality 't': M_title\.csv is text, .*docs/raw-content\.md"):
        make(format="microlens", split="leave_one_out", modalities={"t": "M_title.csv"})
    for text, message in (
        ("4\t3 1\n9\t \n", r"M_pairs\.tsv, line 2: the list of items is empty"),
        ("4\t3 1\n9\t1 x\n", r"M_pairs\.tsv, line 2: item 'x' is not a whole number"),
        ("4\t3 1\n9\n", r"M_pairs\.tsv, line 2: there are 1 values"),
    ):
        (folder / "M_pairs.tsv").write_text(text)
        with pytest.raises(UserError, match=message):
            make(format="microlens", split="leave_one_out")
    (folder / "N_pairs.tsv").write_text("")
    with pytest.raises(UserError, match=r"holds M_pairs\.tsv and N_pairs\.tsv; name one of them"):
        make(format="microlens", split="leave_one_out")
