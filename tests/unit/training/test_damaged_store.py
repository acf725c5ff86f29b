"""A run on a damaged store ends at once, names the file, and reports nothing."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store import checks
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.schema import MANIFEST
from dualgnn_dist.data.store.shards import content_problem, map_shard
from dualgnn_dist.launch.run import start_run
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.load import load
from dualgnn_dist.training.run_folder import METRICS
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


def test_damage_found_beside_the_training_ends_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(path: Path, *rest: object) -> str | None:
        if path.name.startswith("visual"):
            time.sleep(1)
        return content_problem(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(checks, "LONG_BYTES", 0)
    monkeypatch.setattr(checks, "SMALL_BYTES", 0)
    monkeypatch.setattr(checks, "content_problem", late)
    monkeypatch.setenv("DUALGNN_CACHE", str(store.path.parent / "cache"))
    spoil(store, VISUAL, "feature")
    started = time.perf_counter()
    with pytest.raises(UserError, match=f"{VISUAL} is damaged"):
        start_run(config_of(store, "train.epochs=5000", "train.patience=null"))
    assert time.perf_counter() - started < 30
    assert (store.path.parent / "runs/one/steps.jsonl").exists() or list((store.path.parent / "runs/one").iterdir())
    assert not (store.path.parent / "runs/one" / METRICS).exists()


def test_no_metrics_are_written_before_the_check_has_ended(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model reads the vectors for the last time long before their check ends."""

    def late(path: Path, *rest: object) -> str | None:
        if path.name.startswith("visual"):
            time.sleep(8)
        return content_problem(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(checks, "LONG_BYTES", 0)
    monkeypatch.setattr(checks, "SMALL_BYTES", 0)
    monkeypatch.setattr(checks, "content_problem", late)
    monkeypatch.setenv("DUALGNN_CACHE", str(store.path.parent / "cache"))
    spoil(store, VISUAL, "feature")
    with pytest.raises(UserError, match=f"{VISUAL} is damaged"):
        start_run(config_of(store, "train.epochs=1", "train.eval_every=1"))
    assert not (store.path.parent / "runs/one" / METRICS).exists()


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
