"""What says that a checkpoint or a run is whole is written last, here and at a URL."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from order_of_writes import Write, on_threads

from dualgnn_dist.base.storage.remote import RemoteFolder
from dualgnn_dist.base.table_part import TablePart, xavier_normal
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.embeddings.config import AdamConfig
from dualgnn_dist.embeddings.sharded_table import ShardedTable
from dualgnn_dist.training import checkpoint
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.load import load
from dualgnn_dist.training.run import Run
from dualgnn_dist.training.run_at_url import RunAtUrl
from dualgnn_dist.training.worker import run_worker


def save(folder: Path, world: World) -> None:
    table = ShardedTable("users", 9, {"id": TablePart(4, xavier_normal)}, world, 1, AdamConfig(learning_rate=0.1))
    weights = {"weight": torch.arange(3.0)}
    checkpoint.save(folder, world, dense=weights, dense_optimizer={}, tables={"users": table}, progress={"epoch": 1})


def late(function: Any, is_late: Any) -> Any:
    """`function`, a moment later where `is_late` says so of its arguments: whoever does not wait is too early."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        if is_late(*arguments):
            time.sleep(0.2)
        return function(*arguments, **keywords)

    return call


SHARDS = ["users-00000-of-00002.pt", "users-00001-of-00002.pt"]


def test_a_checkpoint_is_on_the_disk_before_its_manifest_and_renamed_after_it(
    tmp_path: Path, writes: list[Write], monkeypatch: pytest.MonkeyPatch
) -> None:
    second_worker = late(checkpoint.write_shard, lambda folder, table, shard, *_: shard == 1)
    monkeypatch.setattr("dualgnn_dist.training.checkpoint.writing.write_shard", second_worker)
    folder = tmp_path / "epoch-00001"
    on_threads(2, lambda world: save(folder, world))
    partial = checkpoint.partial(folder)
    assert sorted(writes[:3]) == [("sync", str(partial / name)) for name in ("dense.pt", *SHARDS)]
    assert writes[3:] == [
        ("sync", str(partial / checkpoint.MANIFEST)),
        ("rename", str(folder)),
    ]


def test_a_checkpoint_that_is_deleted_loses_its_manifest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_threads(1, lambda world: save(tmp_path / "last", world))

    unlink, gone = Path.unlink, []

    def cut_short(path: Path, missing_ok: bool = False) -> None:
        if gone:
            raise KeyboardInterrupt
        gone.append(path)
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", cut_short)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.remove(tmp_path / "last")
    assert (tmp_path / "last" / "dense.pt").exists() and not checkpoint.exists(tmp_path / "last")


@pytest.fixture
def config(demo_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """A run of three epochs, kept at a URL."""
    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "cache"))
    values = {
        "data": {"store": str(demo_store.path)},
        "model": {"name": "dualgnn", "width": 8},
        "sampler": {"batch_size": 200, "fanouts": [2, 2]},
        "train": {"epochs": 3, "eval_every": 1, "patience": None},
        "run": {"name": "run", "output": (tmp_path / "bucket").as_uri()},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    return load(tmp_path / "config.yaml")


def test_a_run_at_a_url_goes_up_in_the_order_in_which_it_may_be_taken(config: RunConfig, writes: list[Write]) -> None:
    """The config, then checkpoints each ending with its manifest, then what came out, ending with the metrics."""
    Run(config.run).begin(config.to_yaml(), resume=False)
    run_worker(config, Host())
    remote = [(event, name) for event, name in writes if event in ("upload", "delete")]
    assert remote[0] == ("upload", "config.yaml"), "a run is there from its config on"
    assert remote[-1] == ("upload", "metrics.json")
    for epoch in (1, 2, 3):
        folder = f"checkpoints/epoch-{epoch:05d}"
        names = [name for event, name in remote if event == "upload" and name.startswith(folder)]
        assert names[-1] == f"{folder}/checkpoint.json" and names[-2] == f"{folder}/dense.pt"
        assert names[:-2] == [f"{folder}/users-00000-of-00001.pt"]
        manifest = remote.index(("upload", names[-1]))
        records = [at for at, write in enumerate(remote) if write == ("upload", "history.jsonl") and at < manifest]
        assert len(records) == epoch, "the history that a checkpoint goes with is up before it"
    results = [name for _, name in remote[manifest:]]
    assert {"representations/items.arrow", "representations/users-00000-of-00001.arrow"} < set(results)
    assert ("upload", "metrics.json") not in remote[:-1]


def test_a_checkpoint_is_up_whole_before_another_goes(config: RunConfig, writes: list[Write]) -> None:
    Run(config.run).begin(config.to_yaml(), resume=False)
    run_worker(config, Host())
    deleted = [at for at, (event, name) in enumerate(writes) if event == "delete" and name.endswith("checkpoint.json")]
    assert deleted, "some checkpoint is neither the newest nor the best"
    for at in deleted:
        folder = writes[at][1].rpartition("/")[0]
        epoch = int(folder[-5:])
        newer = ("upload", f"checkpoints/epoch-{epoch + 1:05d}/checkpoint.json")
        assert newer in writes[:at], "the old one goes when the new one is whole"
        assert ("delete", folder) in writes[at:], "its manifest goes first"


def test_no_manifest_goes_up_before_every_workers_rows(
    config: RunConfig, writes: list[Write], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second worker's storage is slow; what else worker 0 sends, it sends when that is through."""
    begun = Run(config.run)
    begun.begin(config.to_yaml(), resume=False)
    folder = begun.checkpoint(1)
    on_threads(2, lambda world: save(folder, world))
    (begun.folder / "representations").mkdir()
    for name in ("users-00000-of-00002.arrow", "users-00001-of-00002.arrow", "items.arrow"):
        (begun.folder / "representations" / name).write_text("vectors")
    upload = late(RemoteFolder.upload, lambda remote, file, name, *_: "-00001-of-" in name)
    monkeypatch.setattr(RemoteFolder, "upload", upload)
    writes.clear()

    def send(world: World) -> None:
        at_url = RunAtUrl(begun.name_for_people, begun.folder)
        at_url.push_checkpoint(folder, world, keep=[])
        at_url.push_results(world)

    (begun.folder / "metrics.json").write_text("{}")
    on_threads(2, send)
    uploads = [name for event, name in writes if event == "upload"]
    place = f"checkpoints/{folder.name}"
    assert {*uploads[:2]} == {f"{place}/{name}" for name in SHARDS}
    assert uploads[2] == f"{place}/dense.pt" and uploads[3:5] == ["config.yaml", f"{place}/checkpoint.json"]
    assert {*uploads[5:8]} == {f"representations/{path.name}" for path in (begun.folder / "representations").iterdir()}
    assert uploads[8:] == ["config.yaml", "metrics.json"]


def test_the_metrics_of_a_local_run_are_written_when_all_else_is_there(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = dataclasses.replace(config, run=dataclasses.replace(config.run, output=str(tmp_path / "local")))
    Run(local.run).begin(local.to_yaml(), resume=False)
    assert [path.name for path in local.run.folder.iterdir()] == ["config.yaml"]
    at_the_end: list[set[str]] = []
    finish = Run.finish

    def look(run: Run, metrics: Any, world: World) -> None:
        at_the_end.append({str(path.relative_to(run.folder)) for path in run.folder.rglob("*") if path.is_file()})
        finish(run, metrics, world)

    monkeypatch.setattr(Run, "finish", look)
    run_worker(local, Host())
    (before,) = at_the_end
    after = {str(path.relative_to(local.run.folder)) for path in local.run.folder.rglob("*") if path.is_file()}
    assert after - before == {"metrics.json"}
    assert {"history.jsonl", "representations/items.arrow"} < before
