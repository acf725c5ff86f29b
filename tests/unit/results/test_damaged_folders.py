"""Whatever is done to the files of a run or a sweep, they are read or refused with a sentence."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from damages import damage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.results.finished_run import FinishedRun
from dualgnn_dist.results.finished_sweep import SweepRecord
from dualgnn_dist.results.report.run_page import run_page
from dualgnn_dist.results.report.sweep_page import sweep_page
from dualgnn_dist.results.run_record import RunRecord

EXAMPLES = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@contextmanager
def damaged(folder: Path, which: int, seed: int) -> Iterator[None]:
    """One file of a folder is damaged for as long as it lasts."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = files[which % len(files)]
    whole = path.read_bytes()
    try:
        damage(path, seed)
        yield
    finally:
        path.write_bytes(whole)


@given(which=st.integers(0, 20), seed=st.integers(0, 2**32))
@EXAMPLES
def test_a_run_is_read_or_refused(
    make_demo_run: Callable[..., Path], demo_store: Store, tmp_path: Path, which: int, seed: int
) -> None:
    folder = tmp_path / "run" if (tmp_path / "run").exists() else make_demo_run()
    with damaged(folder, which, seed):
        try:
            FinishedRun.read(folder).learned(demo_store)
            text = run_page(RunRecord.read(folder))
        except UserError as error:
            assert str(tmp_path) in str(error), error
        else:
            assert "<html" in text


@given(which=st.integers(0, 20), seed=st.integers(0, 2**32))
@EXAMPLES
def test_a_sweep_is_read_or_refused(make_sweep: Callable[..., Path], tmp_path: Path, which: int, seed: int) -> None:
    folder = tmp_path / "sweep <b>"
    if not folder.exists():
        params = {"optimizer.learning_rate": 0.01, "model.fusion": "max"}
        common = {"params": params, "epochs": 3, "seconds": 1.0, "seed_values": [0.1]}
        trials = [{**common, "number": n, "state": "complete", "value": 0.1, "error": None} for n in range(3)]
        make_sweep(trials)
        (folder / "best.yaml").write_text("model: {name: dualgnn}\n")
        (folder / "winner.json").write_text(
            '{"number": 1, "validation": {"ndcg@10": 0.1}, "test": {"ndcg@10": 0.1}, "run_folder": "trials/x"}'
        )
    with damaged(folder, which, seed):
        try:
            text = sweep_page(SweepRecord.read(folder))
        except UserError as error:
            assert str(tmp_path) in str(error), error
        else:
            assert "<html" in text


def test_the_folders_are_whole_without_damage(make_demo_run: Callable[..., Path], demo_store: Store) -> None:
    folder = make_demo_run()
    assert len(FinishedRun.read(folder).learned(demo_store).users) == demo_store.manifest.num_users
    with damaged(folder, 1, 0), pytest.raises(UserError):
        shutil.rmtree(folder / "representations")
        FinishedRun.read(folder).learned(demo_store)
