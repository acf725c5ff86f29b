"""Checkpoints: bit for bit, under another number of workers, complete or not there at all."""

from __future__ import annotations

import json

import pytest
import torch

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.table_part import TablePart, xavier_normal
from dualgnn_dist.base.world import World
from dualgnn_dist.embeddings.config import AdamConfig
from dualgnn_dist.embeddings.sharded_table import ShardedTable
from dualgnn_dist.training import checkpoint

PARTS = {"id": TablePart(4, xavier_normal), "bias": TablePart(1, xavier_normal)}
ALONE = World()
AUTHOR = {"model": "dualgnn", "store": "9f3c"}


def make_table(num_rows=23, parts=PARTS, seed=1, world=ALONE):
    return ShardedTable("user", num_rows, parts, world, seed, AdamConfig(learning_rate=0.1))


def trained_table():
    table = make_table()
    for step in range(5):
        fetched = table.fetch(torch.tensor([step, 10 + step, 22]))
        fetched.pow(2).sum().backward()
        table.apply_gradients(fetched)
    return table


def same_state(left, right):
    return left.step == right.step and all(torch.equal(a, b) for a, b in zip(left.state, right.state, strict=True))


def save(folder, table, step=0):
    return checkpoint.save(
        folder,
        ALONE,
        dense={"weight": torch.arange(3.0)},
        dense_optimizer={
            "state": {0: {"step": torch.tensor(2.0)}},
            "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999)}],
        },
        tables={"user": table},
        progress={"epoch": 3, "step": step, "best": {"recall@20": 0.1}},
        written_by=AUTHOR,
    )


def test_round_trip_bit_for_bit(tmp_path):
    table, fresh = trained_table(), make_table(seed=2)
    folder = save(tmp_path / "run" / "epoch-3", table)
    assert checkpoint.exists(folder) and [path.name for path in folder.parent.iterdir()] == ["epoch-3"]
    loaded = checkpoint.load(folder, ALONE, tables={"user": fresh})
    assert same_state(fresh, table)
    assert torch.equal(loaded.dense["weight"], torch.arange(3.0))
    assert loaded.dense_optimizer["param_groups"] == [{"lr": 0.1, "betas": (0.9, 0.999)}]
    assert loaded.progress == {"epoch": 3, "step": 0, "best": {"recall@20": 0.1}}
    assert checkpoint.describe(folder).written_by == AUTHOR


def test_a_loaded_table_outlives_its_checkpoint(tmp_path):
    """The shards are memory-mapped for reading; the table must not keep reading from them."""
    table, fresh = trained_table(), make_table(seed=2)
    folder = save(tmp_path / "last", table)
    checkpoint.load(folder, ALONE, tables={"user": fresh})
    save(folder, make_table(seed=3))
    checkpoint.remove(folder)
    assert same_state(fresh, table)


def test_two_shards_to_three_to_one(tmp_path):
    whole = trained_table().state_dict()
    rows = torch.arange(23)
    for shard in range(2):
        checkpoint.write_shard(tmp_path, "user", shard, 2, {k: v[shard::2] for k, v in whole.items() if k != "step"})
    for shard in range(3):
        checkpoint.write_shard(tmp_path, "user", shard, 3, checkpoint.read_rows(tmp_path, "user", 2, rows[shard::3]))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "user-00000-of-00002.pt",
        "user-00000-of-00003.pt",
        "user-00001-of-00002.pt",
        "user-00001-of-00003.pt",
        "user-00002-of-00003.pt",
    ]
    back = checkpoint.read_rows(tmp_path, "user", 3, rows)
    assert back.keys() == whole.keys() - {"step"}
    assert all(torch.equal(back[name], whole[name]) for name in back)
    some = torch.tensor([22, 0, 7])
    assert torch.equal(checkpoint.read_rows(tmp_path, "user", 2, some)["values"], whole["values"][some])


@pytest.mark.parametrize("size", [2, 3, 30])
def test_a_checkpoint_of_one_worker_fills_the_tables_of_several(tmp_path, size):
    table = trained_table()
    folder = save(tmp_path / "last", table)
    for rank in range(size):
        world = World(rank, size)
        shard = make_table(seed=2, world=world)
        checkpoint.load(folder, world, tables={"user": shard})
        assert shard.step == table.step
        assert all(torch.equal(part, all_[rank::size]) for part, all_ in zip(shard.state, table.state, strict=True))


@pytest.mark.parametrize("last_step_reached", ["write_shard", "write_tensors", "manifests.write", "put_in_place"])
def test_a_save_that_is_killed_leaves_the_old_checkpoint(tmp_path, monkeypatch, last_step_reached):
    def kill(*_):
        raise KeyboardInterrupt

    old, folder = make_table(), tmp_path / "last"
    with monkeypatch.context() as patch:
        patch.setattr(f"dualgnn_dist.training.checkpoint.writing.{last_step_reached}", kill)
        with pytest.raises(KeyboardInterrupt):
            save(folder, trained_table())
        assert not checkpoint.exists(folder)
        with pytest.raises(UserError, match="there is no checkpoint at"):
            checkpoint.describe(folder)
    save(folder, old, step=1)
    with monkeypatch.context() as patch:
        patch.setattr(f"dualgnn_dist.training.checkpoint.writing.{last_step_reached}", kill)
        with pytest.raises(KeyboardInterrupt):
            save(folder, trained_table(), step=2)
    fresh = make_table(seed=2)
    assert checkpoint.load(folder, ALONE, tables={"user": fresh}).progress["step"] == 1
    assert same_state(fresh, old)
    save(folder, trained_table(), step=3)  # what the killed save left does not stand in the way
    assert checkpoint.describe(folder).progress["step"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["last"]


def test_a_folder_without_its_manifest_is_incomplete(tmp_path):
    folder = save(tmp_path / "last", trained_table())
    (folder / "checkpoint.json").unlink()
    assert not checkpoint.exists(folder)
    with pytest.raises(UserError, match=r"no complete checkpoint: checkpoint\.json, which is written last, is missing"):
        checkpoint.load(folder, ALONE, tables={"user": make_table()})


def test_a_missing_and_a_damaged_shard_are_named(tmp_path):
    folder = save(tmp_path / "last", trained_table())
    shard = folder / "user-00000-of-00001.pt"
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(UserError, match=r"user-00000-of-00001\.pt is damaged: it has 100 bytes"):
        checkpoint.load(folder, ALONE, tables={"user": make_table()})
    shard.unlink()
    with pytest.raises(UserError, match=r"user-00000-of-00001\.pt is missing"):
        checkpoint.load(folder, ALONE, tables={"user": make_table()})


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"user": make_table(num_rows=24)}, r"table 'user' has num_rows 23, this run needs 24"),
        ({"user": make_table(parts={"id": PARTS["id"]})}, r"has parts {'id': 4, 'bias': 1}, this run needs {'id': 4}"),
        ({"user": make_table(parts=dict(reversed(PARTS.items())))}, r"this run needs {'bias': 1, 'id': 4}"),
        ({"item": make_table()}, r"holds the tables user, this run needs item"),
        ({}, r"holds the tables user, this run needs none"),
    ],
)
def test_a_checkpoint_of_another_model_says_whose_it_is(tmp_path, tables, message):
    folder = save(tmp_path / "last", trained_table())
    with pytest.raises(UserError, match=message + r".*the checkpoint was written by model 'dualgnn', store '9f3c'"):
        checkpoint.load(folder, ALONE, tables=tables)


def test_another_format_version_is_refused(tmp_path):
    folder = save(tmp_path / "last", trained_table())
    manifest = json.loads((folder / "checkpoint.json").read_text())
    (folder / "checkpoint.json").write_text(json.dumps({**manifest, "format_version": 99}))
    with pytest.raises(UserError, match="format version 99, this program reads 1 and 2"):
        checkpoint.load(folder, ALONE, tables={"user": make_table()})


def test_remove_of_nothing_is_nothing(tmp_path):
    checkpoint.remove(tmp_path / "never")
    folder = save(tmp_path / "last", trained_table())
    checkpoint.remove(folder)
    assert not folder.exists()
