"""A checkpoint that is not what was written is noticed, named and set aside, and the newest whole one is taken."""

from __future__ import annotations

import dataclasses
import json
import random
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from order_of_writes import on_threads

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.table_part import TablePart, xavier_normal
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.embeddings.config import AdamConfig
from dualgnn_dist.embeddings.sharded_table import ShardedTable
from dualgnn_dist.training import checkpoint
from dualgnn_dist.training.checkpoint import tensors
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.load import load
from dualgnn_dist.training.run import Run
from dualgnn_dist.training.trainer import Trainer

SHARD, DENSE, MANIFEST = "users-00000-of-00001.pt", "dense.pt", "checkpoint.json"


def make_table(world: World = World(), seed: int = 1) -> ShardedTable:  # noqa: B008
    return ShardedTable("users", 23, {"id": TablePart(4, xavier_normal)}, world, seed, AdamConfig(learning_rate=0.1))


def save(folder: Path, world: World = World(), seed: int = 1, epoch: int = 3, run: str = "a") -> Path:  # noqa: B008
    return checkpoint.save(
        folder,
        world,
        dense={"weight": torch.arange(3.0)},
        dense_optimizer={"state": {}, "param_groups": []},
        tables={"users": make_table(world, seed)},
        progress={"epoch": epoch, "step": 0},
        written_by={"model": "dualgnn", "store": "9f3c", "seed": str(seed), "run": run},
    )


def of_an_older_version(folder: Path) -> None:
    """Takes from a checkpoint what older versions did not write."""
    for path in folder.glob("*.pt"):
        values = torch.load(path)
        values.pop("identity")
        torch.save(values, path)
    manifest = json.loads((folder / MANIFEST).read_text())
    written_by = {key: manifest["written_by"][key] for key in ("model", "store")}
    old = {key: manifest[key] for key in ("num_shards", "tables", "progress")}
    (folder / MANIFEST).write_text(json.dumps({**old, "format_version": 1, "written_by": written_by}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**70) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def damage(path: Path, kind: str, at: float, value: Any) -> None:
    content = bytearray(path.read_bytes())
    place = int(at * (len(content) - 1))
    if kind == "flip":
        content[place] ^= 1 << (place % 8)
    elif kind == "cut":
        content = content[:place]
    elif kind == "garbage":
        content = bytearray(random.Random(place).randbytes(place + 1))
    elif path.name == MANIFEST:  # another value somewhere in a JSON that stays valid
        manifest = json.loads(content)
        key = sorted(manifest)[int(at * (len(manifest) - 1))]
        content = bytearray(json.dumps({**manifest, key: value} if kind == "value" else value).encode())
    path.write_bytes(content)


damages = given(
    name=st.sampled_from([SHARD, DENSE, MANIFEST]),
    kind=st.sampled_from(["flip", "cut", "garbage", "value", "whole"]),
    at=st.floats(0, 1),
    value=JSON,
)


@pytest.mark.parametrize("version", [1, 2])
def test_whatever_is_damaged_is_a_sentence(tmp_path: Path, version: int) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "epoch-00003"
    save(whole)
    if version == 1:
        of_an_older_version(whole)
    before = {path.name: path.read_bytes() for path in whole.iterdir()}

    @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @damages
    def one(name: str, kind: str, at: float, value: Any) -> None:
        shutil.copytree(whole, folder, dirs_exist_ok=True)
        damage(folder / name, kind, at, value)
        table = make_table(seed=2)
        first_values = table.state.values.clone()
        try:
            checkpoint.load(folder, World(), tables={"users": table})
        except UserError as error:
            assert str(folder) in str(error) and "\n" not in str(error)
            assert torch.equal(table.state.values, first_values), "it was filled in part"
        else:
            same = (folder / name).read_bytes() == before[name]
            assert version == 1 or same or json.loads((folder / name).read_bytes()) == json.loads(before[name])

    one()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"seed": 2}, r"it is a file of seed 2, and this one must be of seed 1"),
        ({"epoch": 2}, r"it is a file of epoch 2, and this one must be of epoch 3"),
        ({"run": "b"}, r"it is a file of run b, and this one must be of run a"),
    ],
)
@pytest.mark.parametrize("name", [SHARD, DENSE])
def test_a_file_of_another_checkpoint_is_named(tmp_path: Path, other: dict[str, Any], said: str, name: str) -> None:
    folder, foreign = save(tmp_path / "own"), save(tmp_path / "foreign", **other)
    shutil.copy(foreign / name, folder / name)
    with pytest.raises(checkpoint.Damaged, match=said):
        checkpoint.check(folder, World())


def test_a_file_says_itself_what_it_is(tmp_path: Path) -> None:
    """Where the manifest's checksums were made anew for it."""
    folder, foreign = save(tmp_path / "own"), save(tmp_path / "foreign", run="b")
    shutil.copy(foreign / SHARD, folder / SHARD)
    manifest, theirs = checkpoint.describe(folder), checkpoint.describe(foreign)
    whole = dataclasses.replace(manifest, files={**manifest.files, SHARD: theirs.files[SHARD]})
    checkpoint.manifest.write(folder / MANIFEST, whole)
    with pytest.raises(checkpoint.Damaged, match="it is a file of run b"):
        checkpoint.check(folder, World())


def test_each_worker_reads_and_checks_what_it_needs(tmp_path: Path) -> None:
    folder = tmp_path / "epoch-00001"
    on_threads(3, lambda world: save(folder, world))
    (folder / "users-00001-of-00003.pt").write_bytes(b"")
    for rank in (0, 2):
        checkpoint.check(folder, World(rank, 3))
    for world in (World(1, 3), World(), World(0, 2), World(1, 2)):
        with pytest.raises(checkpoint.Damaged, match="users-00001-of-00003"):
            checkpoint.check(folder, world)


def test_a_refusal_of_one_worker_is_one_of_all(tmp_path: Path) -> None:
    folder, said = tmp_path / "epoch-00001", []
    on_threads(2, lambda world: save(folder, world))
    (folder / "users-00001-of-00002.pt").write_bytes(b"")

    def check(world: World) -> None:
        with pytest.raises(checkpoint.Damaged, match="users-00001-of-00002") as error:
            checkpoint.check_together(folder, world)
        said.append(str(error.value))

    on_threads(2, check)
    assert said[0] == said[1]


def test_a_full_disk_leaves_the_old_checkpoint_and_nothing_of_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, said = tmp_path / "epoch-00001", []
    on_threads(2, lambda world: save(folder, world))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    write = tensors._Hashed.write

    def full(file: Any, data: Any) -> int:
        if file.num_bytes > 500 and "users-00001" in file._file.name:
            raise OSError(28, "No space left on device")
        return write(file, data)

    def try_it(world: World) -> None:
        with pytest.raises(UserError) as error:
            save(folder, world, seed=2)
        said.append(str(error.value))

    with monkeypatch.context() as patch:
        patch.setattr(tensors._Hashed, "write", lambda file, data: _remembering(file, full, data))
        on_threads(2, try_it)
    assert said[0] == said[1] and f"{folder}.partial cannot be written: its disk is full" in said[0]
    assert "are needed and" in said[0] and "are free" in said[0]
    monkeypatch.setattr(checkpoint.writing.space, "free_bytes", lambda path: 100)
    on_threads(2, try_it)
    assert "0.0 MB are free" in said[-1] and "the older checkpoints are still there" in said[-1]
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_what_the_system_refuses_to_write_is_said(tmp_path: Path) -> None:
    """The system's own refusal, in the middle of torch's writing: files may not grow beyond a megabyte."""
    table = ShardedTable("users", 100_000, {"id": TablePart(4, xavier_normal)}, World(), 1, AdamConfig(learning_rate=1))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(UserError, match=r"epoch-00001.partial cannot be written: files may not become as large"):
            checkpoint.save(
                tmp_path / "epoch-00001", World(), dense={}, dense_optimizer={}, tables={"users": table}, progress={}
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def _remembering(file: Any, write: Any, data: Any) -> int:
    try:
        return write(file, data)
    except OSError as error:
        file.refusal = error
        raise


def test_only_files_of_a_checkpoint_are_deleted(tmp_path: Path) -> None:
    folder = save(tmp_path / "epoch-00001")
    (folder / "notes.txt").write_text("mine")
    (folder / "sub").mkdir()
    (folder / "sub" / "dense.pt").write_text("mine too")
    checkpoint.remove(folder)
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) == ["notes.txt", "sub", "sub/dense.pt"]


# In a run


def make_config(store: Store, output: Path, name: str, epochs: int = 3, **others: Any) -> RunConfig:
    values = {
        "data": {"store": str(store.path)},
        "model": {"name": "dualgnn", "width": 4},
        "sampler": {"batch_size": 97, "fanouts": [3, 2]},
        "optimizer": {"learning_rate": 0.01},
        "train": {"epochs": epochs, "eval_every": 1, "patience": None},
        "run": {"name": name, "output": str(output)},
        **others,
    }
    path = output / f"{name}.yaml" if output.is_dir() else Path(str(others["data"]["cache"])) / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    config = load(path)
    Run(config.run).begin(config.to_yaml(), resume=False)
    return config


def train(world: World, config: RunConfig, epochs: int | None = None) -> dict[str, Any]:
    if epochs is not None:
        config = dataclasses.replace(config, train=dataclasses.replace(config.train, epochs=epochs))
    trainer = Trainer.build(config, Store.open(config.data.store), Host(world))
    trainer.resume()
    outcome = trainer.fit()
    return {"users": outcome.representations.users, "test": outcome.test, "best_epoch": trainer.progress.best_epoch}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.fixture(autouse=True)
def _every_epoch_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest epoch is the best, so that it does not depend on the numbers which checkpoints there are."""
    from dualgnn_dist.training.progress import Progress

    judge = Progress.judge

    def better(progress: Progress, validation: Any, metric: str) -> bool:
        return judge(progress, {**validation, metric: 0.01 * progress.epoch}, metric)

    monkeypatch.setattr(Progress, "judge", better)


@pytest.mark.parametrize(("name", "content"), [(SHARD, None), (MANIFEST, b'{"format_ver')])
def test_a_damaged_newest_checkpoint_is_set_aside(
    demo_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None
) -> None:
    whole, damaged = (make_config(demo_store, tmp_path, of) for of in ("whole", "damaged"))
    expected = train(World(), whole)
    train(World(), damaged, epochs=2)
    newest = Run(damaged.run).checkpoint(2)
    flip(newest / name) if content is None else (newest / name).write_bytes(content)
    capsys.readouterr()
    found = train(World(), damaged)
    said = capsys.readouterr().out
    assert f"{newest / name} is damaged" in said and f"it is set aside as {newest}.damaged" in said
    assert f"resumed from {newest.with_name('epoch-00001')} after epoch 1" in said
    assert torch.equal(found["users"], expected["users"]) and found["test"] == expected["test"]
    assert sorted(path.name for path in newest.parent.iterdir()) == [
        "epoch-00002",
        "epoch-00002.damaged",
        "epoch-00003",
    ]
    assert (newest.with_name("epoch-00002.damaged") / name).exists(), "it is not lost"


def test_a_run_without_a_whole_checkpoint_starts_anew(
    demo_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_config(demo_store, tmp_path, "run", epochs=2)
    expected = train(World(), config)
    for epoch in (1, 2):
        flip(Run(config.run).checkpoint(epoch) / DENSE)
    found = train(World(), config)
    assert "no whole checkpoint is left: the run starts from its first step" in capsys.readouterr().out
    assert torch.equal(found["users"], expected["users"])


def test_a_lost_best_checkpoint_is_said_and_another_becomes_the_best(
    demo_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dualgnn_dist.training.progress import Progress

    config = make_config(demo_store, tmp_path, "run", epochs=3)
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "judge", lambda progress, values, metric: progress.epoch == 1 and _is_best(progress))
        train(World(), config, epochs=2)
    folder = Run(config.run).checkpoint(1)
    assert folder.exists()
    flip(folder / DENSE)
    for epochs in (2, 3):  # nothing is left to train, and something is
        found = train(World(), config, epochs)
        assert found["best_epoch"] == epochs and found["test"]
    said = capsys.readouterr().out
    assert "the best state so far, of epoch 1, is lost" in said and f"set aside as {folder}.damaged" in said


def _is_best(progress: Any) -> bool:
    progress.best, progress.best_epoch = 0.9, progress.epoch
    return True


def test_a_checkpoint_without_checksums_is_read_and_said_so(
    demo_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_config(demo_store, tmp_path, "run")
    expected = train(World(), config)
    of_an_older_version(Run(config.run).checkpoint(3))
    capsys.readouterr()
    found = train(World(), config)
    said = [line for line in capsys.readouterr().out.splitlines() if "checksum" in line]
    assert len(said) == 1 and "is of an older version and has no checksums: it cannot be checked" in said[0]
    assert torch.equal(found["users"], expected["users"])


def test_a_whole_checkpoint_of_another_run_is_refused(demo_store: Store, tmp_path: Path) -> None:
    own, other = (make_config(demo_store, tmp_path, name, epochs=epochs) for name, epochs in (("own", 1), ("other", 2)))
    train(World(), own)
    train(World(), other)
    shutil.copytree(Run(other.run).checkpoint(2), Run(own.run).checkpoint(2))
    with pytest.raises(UserError, match=r"epoch-00002 is of another run \(its run is \w+, this .*\); move it"):
        train(World(), own, epochs=3)


def test_an_old_one_that_stepped_aside_is_taken_back(demo_store: Store, tmp_path: Path) -> None:
    """The run was killed between the two renames with which a checkpoint replaces another of its name."""
    config = make_config(demo_store, tmp_path, "run", epochs=1)
    expected = train(World(), config)
    folder = Run(config.run).checkpoint(1)
    folder.rename(folder.with_name("epoch-00001.old"))
    assert torch.equal(train(World(), config)["users"], expected["users"])
    assert [path.name for path in folder.parent.iterdir()] == ["epoch-00001"]


@pytest.mark.faults
def test_two_workers_take_the_same_checkpoint(
    demo_store: Store, tmp_path: Path, run_workers: Callable[..., list[Any]]
) -> None:
    """One of them alone reads the damaged file."""
    config = make_config(demo_store, tmp_path, "run", epochs=1)
    run_workers(train, 2, config)
    run_workers(train, 2, config, 2)
    newest = Run(config.run).newest()
    assert newest is not None
    flip(newest / "users-00001-of-00002.pt")
    run_workers(train, 2, config, 3)
    names = {path.name for path in newest.parent.iterdir()}
    assert f"{newest.name}.damaged" in names and "epoch-00003" in names
