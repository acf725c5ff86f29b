"""A run on a damaged store ends at once, names the file, and reports nothing."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from torch import Tensor

from dualgnn_dist.base.batch import Batch
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store import checks
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.schema import MANIFEST
from dualgnn_dist.data.store.shards import content_problem, map_shard
from dualgnn_dist.launch.run import start_run
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.load import load
from dualgnn_dist.training.run_folder import METRICS
from dualgnn_dist.training.trainer import Trainer
from tests.numerics.test_golden import CONFIG, make_store

VISUAL = "features/visual-00000.arrow"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(make_store(tmp_path))


def config_of(store: Store, *overrides: str) -> RunConfig:
    places = [f"data.store={store.path}", f"run.output={store.path.parent}/runs", "run.name=one"]
    return load(CONFIG, [*places, *overrides])


def spoil(store: Store, name: str, column: str) -> None:
    """One bit of the first number of a shard."""
    file = store.path / name
    data = bytearray(file.read_bytes())
    data[data.find(map_shard(file)[column].values.to_numpy()[:8].tobytes())] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "column"),
    [("graph/user_item-00000.arrow", "neighbors"), ("features/visual-00000.arrow", "feature")],
)
def test_a_small_one_is_refused_before_the_first_step(name: str, column: str, store: Store) -> None:
    spoil(store, name, column)
    with pytest.raises(UserError, match=rf"{name} is damaged \(its checksum differs"):
        start_run(config_of(store))
    assert not list((store.path.parent / "runs").rglob("history.jsonl"))


@pytest.fixture
def may_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The store's vectors are damaged, and read beside the work once this is set, as if they were many."""
    event = threading.Event()

    def late(path: Path, *rest: object) -> str | None:
        if path.name.startswith("visual"):
            assert event.wait(60)
        return content_problem(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(checks, "LONG_BYTES", 0)
    monkeypatch.setattr(checks, "SMALL_BYTES", 0)
    monkeypatch.setattr(checks, "content_problem", late)
    monkeypatch.setenv("DUALGNN_CACHE", str(store.path.parent / "cache"))
    spoil(store, VISUAL, "feature")
    return event


def test_damage_found_beside_the_training_ends_it(
    store: Store, may_read: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, steps = Trainer.train_step, []

    def count(trainer: Trainer, batch: Batch) -> Tensor:
        steps.append(batch)
        if len(steps) == 30:
            may_read.set()
        return step(trainer, batch)

    monkeypatch.setattr(Trainer, "train_step", count)
    with pytest.raises(UserError, match=f"{VISUAL} is damaged"):
        start_run(config_of(store, "train.epochs=5000", "train.patience=null", "train.eval_every=5000"))
    assert 30 <= len(steps) < 10_000
    assert not list((store.path.parent / "runs").rglob(METRICS))


def test_no_metrics_are_written_before_the_check_has_ended(
    store: Store, may_read: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model has read the vectors for the last time when they are found to be damaged."""
    wait = Store.wait_until_checked

    def waiting(*arguments: object) -> None:
        may_read.set()
        wait(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "wait_until_checked", waiting)
    with pytest.raises(UserError, match=f"{VISUAL} is damaged"):
        start_run(config_of(store, "train.epochs=1", "train.eval_every=1"))
    assert may_read.is_set() and not list((store.path.parent / "runs").rglob(METRICS))


def test_what_an_older_program_wrote_is_trained_on_with_a_line(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    values = json.loads((store.path / MANIFEST).read_text())
    del values["settings"]["manifest_checksum"]
    (store.path / MANIFEST).write_text(json.dumps(values))
    start_run(config_of(store, "train.epochs=1"))
    assert "manifest.json is of an older program and has no checksum" in capsys.readouterr().out
    del values["settings"]["prepare"]
    (store.path / MANIFEST).write_text(json.dumps(values))
    with pytest.raises(UserError, match="does not say with which prepare settings"):
        start_run(config_of(store, "train.epochs=1", "run.name=two"))
