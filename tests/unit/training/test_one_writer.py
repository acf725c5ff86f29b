"""A run has one writer, which deletes nothing that is not the run's, and goes on from what is whole."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyarrow import fs

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.storage.locks import only_writer
from dualgnn_dist.base.storage.remote import RemoteFolder
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.metrics import metric_keys
from dualgnn_dist.launch import run as launch
from dualgnn_dist.launch.run import start_run
from dualgnn_dist.training import run as place
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.evaluator import Evaluator
from dualgnn_dist.training.load import load
from dualgnn_dist.training.run import Run
from dualgnn_dist.training.run_at_url import RunAtUrl, fetch
from dualgnn_dist.training.sweep.load import load_sweep

LIVE = """
import sys
from dualgnn_dist.launch.run import start_run
from dualgnn_dist.training.load import load
start_run(load(sys.argv[1]))
"""


def write(store: Store, at: Path, **sections: Any) -> Path:
    values = {
        "data": {"store": str(store.path)},
        "model": {"name": "bpr_mf", "width": 4},
        "sampler": {"batch_size": 97},
        "optimizer": {"learning_rate": 0.01},
        "train": {"epochs": 3, "eval_every": 1, "patience": None},
        "resources": {"num_workers": 0},
        "run": {"name": "run", "output": str(at / "runs")},
        **sections,
    }
    (at / "config.yaml").write_text(yaml.safe_dump(values))
    return at / "config.yaml"


@pytest.fixture
def config(demo_store: Store, tmp_path: Path) -> RunConfig:
    return load(write(demo_store, tmp_path))


def test_beside_a_live_run_nothing_starts_and_after_its_death_all_is_as_before(
    demo_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    endless = {"epochs": 1_000_000, "eval_every": 1, "patience": None}
    file = write(demo_store, tmp_path, train=endless)
    live = subprocess.Popen([sys.executable, "-c", LIVE, str(file)], stdout=subprocess.DEVNULL)
    config, checkpoints = load(file), tmp_path / "runs/run/checkpoints"
    try:
        until = time.monotonic() + 60
        while not list(checkpoints.glob("epoch-*/checkpoint.json")) and time.monotonic() < until:
            time.sleep(0.05)
        for resume in (True, False):
            with pytest.raises(UserError, match=rf"runs/run is being written by process {live.pid} on .* since 20\d\d"):
                start_run(config, resume)
        assert live.poll() is None
    finally:
        live.send_signal(signal.SIGKILL)
        live.wait()
    (checkpoints / "epoch-99999.partial").mkdir()
    (checkpoints / "epoch-99999.partial/dense.pt").write_text("half")
    (checkpoints / "notes.txt").write_text("mine")
    newest = Run(config.run).newest()
    assert newest is not None
    epochs = int(newest.name.removeprefix("epoch-")) + 1
    start_run(dataclasses.replace(config, train=dataclasses.replace(config.train, epochs=epochs)), resume=True)
    lines = [json.loads(line) for line in (tmp_path / "runs/run/history.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines if "training" in line] == list(range(1, epochs + 1))
    assert "epoch-99999.partial, left half-written by a start that was killed, is deleted" in capsys.readouterr().out
    assert (checkpoints / "notes.txt").read_text() == "mine"
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["run"]


def test_a_worker_that_outlives_its_start_is_waited_for(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(config.run)
    held, ended = threading.Event(), threading.Event()

    def outlive() -> None:
        with only_writer(run.folder, "the run", print, role="trainer"):
            held.set()
            ended.wait(30)

    survivor = threading.Thread(target=outlive)
    survivor.start()
    held.wait(30)
    monkeypatch.setattr(place, "_PATIENCE", 0.1)
    with pytest.raises(UserError, match="is being written by process"), run.only_trainer(World()):
        pass
    monkeypatch.setattr(place, "_PATIENCE", 60.0)
    threading.Timer(0.4, ended.set).start()
    with run.only_trainer(World()):
        assert not survivor.is_alive() or ended.is_set()
    survivor.join()
    assert "is still being written by process" in capsys.readouterr().out


def test_a_start_that_fails_takes_only_the_run_that_it_began(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        (Path(config.run.folder) / "ray/start-000").mkdir(parents=True)
        (Path(config.run.folder) / "ray/start-000/state.json").write_text("{}")
        raise UserError("no such worker")

    folder = config.run.folder
    monkeypatch.setattr(launch, "run_on_workers", fail)
    with pytest.raises(UserError, match="no such worker"):
        start_run(config)
    assert not folder.exists()  # its name is free
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"runs/run exists and is no run; choose another name"):
        start_run(config)
    (folder / "config.yaml").write_text(config.with_absolute_paths().to_yaml())  # killed before its first epoch
    with pytest.raises(UserError, match="no such worker"):
        start_run(config, resume=True)
    assert (folder / "thesis.txt").read_text() == "years of work" and (folder / "config.yaml").exists()


@pytest.fixture
def falling(monkeypatch: pytest.MonkeyPatch, config: RunConfig) -> None:
    """The first validation is the best, and the one that comes after the run is between."""
    values: Iterator[float] = iter((0.5, 0.4, 0.3, 0.35, 0.2))
    metrics = metric_keys(config.evaluation.ks)
    monkeypatch.setattr(Evaluator, "validate", lambda evaluator: dict.fromkeys(metrics, next(values)))


@pytest.mark.parametrize("damage", ["gone", "manifest", "shard"])
def test_a_run_without_its_best_checkpoint_goes_on_from_what_is_whole(
    config: RunConfig, falling: None, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = start_run(config)
    best = folder / "checkpoints/epoch-00001"
    if damage == "gone":
        shutil.rmtree(best)
    else:
        next(best.glob("checkpoint.json" if damage == "manifest" else "users-*")).unlink()
    assert Run(config.run).best().name == "epoch-00003"
    assert "the best checkpoint, of epoch 1, is lost" in capsys.readouterr().out
    longer = dataclasses.replace(config, train=dataclasses.replace(config.train, epochs=4))
    start_run(longer, resume=True)
    assert "the best state so far, of epoch 1, is lost" in capsys.readouterr().out
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["best_epoch"] == 3 and set(metrics["validation"].values()) == {0.35}
    assert Run(config.run).best().name == "epoch-00003"


@pytest.mark.parametrize("name", ["..", ".", "a/..", "/tmp", "-rf", "a\nb", "x" * 201, "", "../../x"])
def test_a_name_of_a_run_or_a_sweep_is_that_of_a_folder(
    demo_store: Store, tmp_path: Path, config: RunConfig, name: str
) -> None:
    with pytest.raises(ValueError, match="must be a plain folder name"):
        dataclasses.replace(config.run, name=name)
    search = {"optimizer.learning_rate": {"loguniform": [0.001, 0.1]}}
    file = write(demo_store, tmp_path, sweep={"name": name}, search=search)
    with pytest.raises(UserError, match="must be a plain folder name"):
        load_sweep(file)
    load_sweep(file, ["sweep.name=mine", "sweep.stopper=none"])


@pytest.mark.parametrize("stem", ["-rf", ".hidden", "..", "x" * 195])
def test_a_name_that_a_file_gives_is_checked_too(demo_store: Store, tmp_path: Path, stem: str) -> None:
    search = {"optimizer.learning_rate": {"loguniform": [0.001, 0.1]}}
    file = write(demo_store, tmp_path, search=search, run={"output": str(tmp_path)})
    named = file.rename(tmp_path / f"{stem}.yaml")
    with pytest.raises(UserError, match="must be a plain folder name"):
        load_sweep(named)


class Hostile:
    """A local file system whose listings also name a file above the one that is asked for."""

    def __init__(self, local: Any) -> None:
        self._local = local

    def __getattr__(self, name: str) -> Any:
        return getattr(self._local, name)

    def get_file_info(self, asked: Any) -> Any:
        answer = self._local.get_file_info(asked)
        if isinstance(answer, list) and answer:
            return [*answer, fs.FileInfo(f"{asked.base_dir}/checkpoints/../../../victim", fs.FileType.File, size=0)]
        return answer


def test_a_listing_with_dots_makes_and_cuts_no_file(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "cache"))
    folder = start_run(config)
    at = RemoteFolder.at
    monkeypatch.setattr(
        RemoteFolder, "at", lambda url: dataclasses.replace(at(url), filesystem=Hostile(at(url).filesystem))
    )
    for act in (lambda: fetch(folder.as_uri()), RunAtUrl(folder.as_uri(), tmp_path / "cache/runs/x/run").fetch_newest):
        with pytest.raises(UserError, match=r"listing of file:.*'\.\.'.*remove that file there"):
            act()
    assert not [path for path in tmp_path.rglob("victim*")]
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_a_url_that_names_no_run_deletes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache/runs/precious").mkdir(parents=True)
    (tmp_path / "config.yaml").write_text("{}")
    with pytest.raises(UserError, match="is not the URL of a run"):
        fetch(f"s3://bucket/{tmp_path.name}/..?region=eu-west-1")
    assert (tmp_path / "cache/runs/precious").exists()


def test_a_copy_that_is_read_is_not_the_one_in_which_a_run_works(
    config: RunConfig, demo_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "cache"))
    at_url = load(write(demo_store, tmp_path, run={"name": "run", "output": (tmp_path / "bucket").as_uri()}))
    working = start_run(at_url)
    before = {path: path.stat().st_ino for path in working.rglob("*")}
    copy = fetch((tmp_path / "bucket/run").as_uri())
    (copy / "stale.txt").write_text("mine")
    (copy / "checkpoints/epoch-00099").mkdir()
    (copy / "checkpoints/epoch-00099/dense.pt").write_text("of another run of this name")
    assert fetch((tmp_path / "bucket/run").as_uri()) == copy != working
    assert {path: path.stat().st_ino for path in working.rglob("*")} == before
    assert (copy / "stale.txt").exists() and not (copy / "checkpoints/epoch-00099").exists()
    assert (copy / "metrics.json").read_text() == (working / "metrics.json").read_text()
