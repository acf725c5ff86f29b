"""A run kept at a URL: each of two workers here has a cache of its own, so each is a node that sees no other's disk."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.storage.remote import RemoteFolder
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation import representations
from dualgnn_dist.evaluation.metrics import metric_keys
from dualgnn_dist.training import checkpoint
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.evaluator import Evaluator
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.load import load
from dualgnn_dist.training.run import Run
from dualgnn_dist.training.run_at_url import RunAtUrl, fetch
from dualgnn_dist.training.run_folder import METRICS
from dualgnn_dist.training.trainer import Trainer
from dualgnn_dist.training.worker import run_worker


def make_config(store: Store, at: Path, output: str, **train: Any) -> RunConfig:
    values = {
        "data": {"store": str(store.path)},
        "model": {"name": "dualgnn", "width": 8},
        "sampler": {"batch_size": 97, "fanouts": [3, 2]},
        "optimizer": {"learning_rate": 0.01},
        "train": {"epochs": 3, "eval_every": 1, "patience": None, **train},
        "run": {"name": "run", "output": output},
    }
    (at / "config.yaml").write_text(yaml.safe_dump(values))
    return load(at / "config.yaml")


def begin(config: RunConfig) -> Run:
    """What `train` does before it starts workers."""
    run = Run(config.run)
    run.check(config.to_yaml(), resume=False)
    run.begin(config.to_yaml(), resume=False)
    return run


def on_nodes(world: World, config: RunConfig, caches: list[str], epochs: int, new: bool) -> torch.Tensor:
    """One start of the workers, each with its own cache, as Ray Train makes it: always from the newest checkpoint."""
    os.environ["DUALGNN_CACHE"] = caches[world.rank]
    if world.is_main and new:
        begin(config)
    world.barrier()
    run_worker(dataclasses.replace(config, train=dataclasses.replace(config.train, epochs=epochs)), Host(world))
    name = f"users-{world.rank:05d}-of-{world.size:05d}.arrow"
    return torch.tensor(representations.read(config.run.folder / "representations" / name).vectors.copy())


@pytest.fixture
def caches(tmp_path: Path) -> list[str]:
    for name in "abc":
        (tmp_path / name).mkdir()
    return [str(tmp_path / name) for name in "abc"]


def test_nodes_that_share_nothing_train_and_resume_as_one(
    demo_store: Store,
    tmp_path: Path,
    caches: list[str],
    run_workers: Callable[..., list[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "later"))
    there = tmp_path / "bucket/run"
    config = make_config(demo_store, tmp_path, there.parent.as_uri())
    run_workers(on_nodes, 2, config, caches, 2, True)
    assert (there / METRICS).is_file() and len(list((there / "representations").glob("users-*"))) == 2
    complete = [path for path in (there / "checkpoints").iterdir() if checkpoint.exists(path)]
    assert "epoch-00002" in {path.name for path in complete} and len(complete) <= 2
    names = {path.name for path in complete[0].iterdir()}
    assert names >= {"dense.pt", "users-00000-of-00002.pt", "users-00001-of-00002.pt", "checkpoint.json"}
    # It goes on elsewhere: one node is new, the other has been the second before.
    resumed = run_workers(on_nodes, 2, config, [caches[2], caches[1]], 3, False)
    assert not [path for path in there.rglob("*.partial*")]
    history = (there / "history.jsonl").read_text().splitlines()
    assert len(history) == 6, history

    alone = on_nodes(World(), make_config(demo_store, tmp_path, str(tmp_path / "shared")), caches, 3, True)
    for rank, users in enumerate(resumed):
        torch.testing.assert_close(users, alone[rank::2], rtol=2e-3, atol=2e-4)
    assert (fetch(there.as_uri()) / "history.jsonl").read_text().splitlines() == history


@pytest.fixture
def run(demo_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """A run of three epochs, begun at a URL."""
    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "cache"))
    config = make_config(demo_store, tmp_path, (tmp_path / "bucket").as_uri())
    begin(config)
    return config


def test_a_run_is_begun_once_and_resumed_only_if_it_is_there(run: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"bucket/run exists; continue it with --resume"):
        Run(run.run).check(run.to_yaml(), resume=False)
    Run(run.run).check(run.to_yaml(), resume=True)
    other = dataclasses.replace(run.run, name="other")
    assert Run(run.run).is_started() and not Run(other).is_started()
    with pytest.raises(UserError, match=r"no run to resume at file:.*bucket/other; leave out --resume"):
        Run(other).check(run.to_yaml(), resume=True)
    Run(run.run).withdraw()  # it was there before
    assert Run(run.run).is_started()
    shutil.rmtree(tmp_path / "bucket/run")
    (run.run.folder / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"holds what is not the run's: thesis.txt; move it elsewhere"):
        Run(run.run).check(run.to_yaml(), resume=False)
    (run.run.folder / "thesis.txt").unlink()
    begun = begin(run)
    assert run.run.folder.exists()
    begun.withdraw()
    assert not run.run.folder.exists() and not begun.is_started()  # the copy of a run that is no more
    (run.run.folder / "checkpoints/epoch-00001").mkdir(parents=True)
    (run.run.folder / "checkpoints/epoch-00001/dense.pt").write_text("of another run of this name")
    Run(run.run).check(run.to_yaml(), resume=False)
    assert not run.run.folder.exists()


def test_a_local_run_is_its_folder(run: RunConfig, tmp_path: Path) -> None:
    local = Run(dataclasses.replace(run.run, output=str(tmp_path / "local")))
    local.check(run.to_yaml(), resume=False)
    assert not local.is_started() and local.newest() is None
    local.fetch()
    local.fetch_results()
    local.withdraw()
    assert local.name_for_people == str(tmp_path / "local/run")
    assert not (tmp_path / "local").exists() and fetch(f"{tmp_path}/x/..") == tmp_path
    with pytest.raises(UserError, match=r"x is not the folder of a run: there is no such folder"):
        fetch(str(tmp_path / "x"))
    with pytest.raises(UserError, match=r"local/run has no complete checkpoint"):
        local.best()


def test_a_checkpoint_that_never_came_up_whole_is_none(
    run: RunConfig, demo_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = RemoteFolder.upload

    def fail_late(self: RemoteFolder, file: Path, name: str) -> None:
        if "epoch-00002" in name and file.name == "checkpoint.json":
            raise UserError("the network is gone")
        upload(self, file, name)

    with monkeypatch.context() as patch:
        patch.setattr(RemoteFolder, "upload", fail_late)
        with pytest.raises(UserError, match="the network is gone"):
            Trainer.build(run, demo_store, Host(World())).fit()
    Run(run.run).withdraw()  # it has started
    newest = Run(run.run).newest()
    assert newest is not None and newest.name == "epoch-00002"
    Run(run.run).check(run.to_yaml(), resume=True)
    newest = Run(run.run).newest()
    assert newest is not None and newest.name == "epoch-00001"
    run_worker(run, Host())
    assert (tmp_path / "bucket/run" / METRICS).is_file()


def test_a_damaged_or_older_checkpoint_of_this_node_is_fetched_again(
    run: RunConfig, demo_store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    Trainer.build(run, demo_store, Host(World())).fit()
    newest = Run(run.run).newest()
    assert newest is not None
    before = {path.name: path.read_bytes() for path in newest.iterdir()}
    capsys.readouterr()
    Run(run.run).fetch()
    assert "fetching" not in capsys.readouterr().out
    (newest / "dense.pt").write_bytes(b"cut")
    RunAtUrl(Run(run.run).name_for_people, run.run.folder).fetch_checkpoint(newest)
    assert "fetching" in capsys.readouterr().out
    (newest / "checkpoint.json").write_text("{}")
    RunAtUrl(Run(run.run).name_for_people, run.run.folder).fetch_checkpoint(newest)
    assert {path.name: path.read_bytes() for path in newest.iterdir()} == before


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def test_a_checkpoint_that_is_damaged_on_this_node_alone_is_fetched_again(
    run: RunConfig, demo_store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    Trainer.build(run, demo_store, Host(World())).fit()
    newest = Run(run.run).newest()
    assert newest is not None
    flip(newest / "users-00000-of-00001.pt")
    capsys.readouterr()
    trainer = Trainer.build(run, demo_store, Host(World()))
    trainer.resume()
    said = capsys.readouterr().out
    assert trainer.progress.epoch == 3 and "fetching the checkpoint" in said and "set aside" not in said


def test_a_checkpoint_that_is_damaged_at_the_url_is_set_aside_there(
    run: RunConfig, demo_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Trainer.build(run, demo_store, Host(World())).fit()
    there = tmp_path / "bucket/run/checkpoints"
    older, newest = sorted(path.name for path in there.iterdir())
    flip(there / newest / "dense.pt")
    damaged = (there / newest / "dense.pt").read_bytes()
    shutil.rmtree(tmp_path / "cache")
    trainer = Trainer.build(run, demo_store, Host(World()))
    trainer.resume()
    said = capsys.readouterr().out
    assert "dense.pt is damaged: its checksum is another" in said and f"{newest}.damaged" in said
    assert trainer.progress.epoch == int(older[-5:])
    assert sorted(path.name for path in there.iterdir()) == [older, f"{newest}.damaged"]
    assert (there / f"{newest}.damaged" / "dense.pt").read_bytes() == damaged
    trainer.fit()
    assert {older, newest} >= {path.name for path in there.iterdir()} - {f"{newest}.damaged"}
    assert (there / f"{newest}.damaged" / "checkpoint.json").is_file(), "what was set aside is never deleted"


def test_a_new_node_goes_on_from_the_newest_checkpoint_and_ends_with_the_best(
    run: RunConfig, demo_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both lie at the URL, and are not the same where the validation falls."""
    falling = iter((0.5, 0.4, 0.3))
    metrics = metric_keys(run.evaluation.ks)
    monkeypatch.setattr(Evaluator, "validate", lambda evaluator: dict.fromkeys(metrics, next(falling)))
    Trainer.build(run, demo_store, Host(World())).fit()
    there = tmp_path / "bucket/run/checkpoints"
    assert sorted(path.name for path in there.iterdir()) == ["epoch-00001", "epoch-00003"]
    shutil.rmtree(tmp_path / "cache")
    node = Run(run.run)
    node.fetch()
    newest = node.newest()
    assert newest is not None and newest.name == "epoch-00003"
    best = node.best()
    assert best.name == "epoch-00001" and checkpoint.describe(best).progress["epoch"] == 1


def test_what_is_no_run_is_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not the folder of a run: it has no config\.yaml"):
        fetch(tmp_path.as_uri())
