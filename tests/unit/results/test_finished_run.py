"""A finished run read back: folders, metrics and vectors that are not what they should be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation import representations
from dualgnn_dist.results.finished_run import FinishedRun


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"metrics.json is damaged \(Expecting"),
        ("[]", "metrics.json is damaged"),
        ('{"test": {}}', r"is damaged \(it has no 'validation'\)"),
        ('{"test": 1, "validation": {}, "store": {"fingerprint": "x"}, "num_workers": 1}', "must be a mapping"),
        ('{"test": {"a": "b"}, "validation": {}, "store": {"fingerprint": "x"}, "num_workers": 1}', "must be a number"),
        ('{"test": {}, "validation": {}, "store": {"fingerprint": "x"}, "num_workers": "2"}', "a whole number"),
        ('{"test": {}, "validation": {}, "store": 3, "num_workers": 2}', "is damaged"),
    ],
)
def test_damaged_metrics(make_run: Callable[..., Path], text: str, message: str) -> None:
    folder = make_run("good")
    (folder / "metrics.json").write_text(text)
    with pytest.raises(UserError, match=message) as error:
        FinishedRun.read(folder)
    assert "finish the run again with `train --resume`" in str(error.value)


def test_folders_that_are_no_finished_runs(make_run: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere is not the folder of a run: there is no such folder; give"):
        FinishedRun.read(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"is not the folder of a run: it has no config.yaml"):
        FinishedRun.read(tmp_path)
    folder = make_run("unfinished")
    (folder / "metrics.json").unlink()
    with pytest.raises(UserError, match=r"unfinished is no finished run: it has no metrics.json; finish it with"):
        FinishedRun.read(folder)


def test_representations_that_are_not_those_of_the_run(make_run: Callable[..., Path], demo_store: Store) -> None:
    run = FinishedRun.read(make_run("good", workers=2))
    folder = run.folder / "representations"
    second = folder / "users-00001-of-00002.arrow"
    whole = second.read_bytes()
    second.with_name("users-00000-of-00001.arrow").write_bytes(b"of an earlier finish")
    learned = run.learned(demo_store)
    assert learned.columns["weight_visual"].tolist() == learned.users[:, 0].tolist()
    second.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"users-00001-of-00002.arrow is damaged .*finish the run again"):
        run.learned(demo_store)
    second.write_bytes((folder / "users-00000-of-00002.arrow").read_bytes())
    with pytest.raises(UserError, match=r"representations is damaged \(its files do not belong together\)"):
        run.learned(demo_store)
    second.unlink()
    with pytest.raises(UserError, match=r"users-00001-of-00002.arrow is missing; finish the run again"):
        run.learned(demo_store)
    folder.rename(folder.with_name("moved"))
    with pytest.raises(UserError, match=r"good has no folder representations; finish the run again"):
        run.learned(demo_store)


def test_vectors_that_are_not_finite(make_run: Callable[..., Path], demo_store: Store) -> None:
    run = FinishedRun.read(make_run("good"))
    items = run.folder / "representations" / "items.arrow"
    rows, ids, vectors, _ = representations.read(items)
    representations.write(items, np.array(rows), ids, np.where(vectors > 0, vectors, np.nan))
    with pytest.raises(UserError, match="holds numbers that are not finite: the run diverged"):
        run.learned(demo_store)


def test_baselines_of_a_run_and_of_one_of_before(make_run: Callable[..., Path]) -> None:
    baselines = {"popularity": {"recall@20": 0.125}}
    assert FinishedRun.read(make_run("new", baselines=baselines)).baselines == baselines
    assert FinishedRun.read(make_run("old")).baselines == FinishedRun.read(make_run("older")).beyond == {}
    assert FinishedRun.read(make_run("beyond", beyond={"gini@20": 0.5})).beyond == {"gini@20": 0.5}
    with pytest.raises(UserError, match="damaged"):
        FinishedRun.read(make_run("wrong", baselines={"popularity": "0.1"}))
