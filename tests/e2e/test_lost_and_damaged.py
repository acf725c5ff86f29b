"""Runs on workers lose their processes, their newest checkpoint and their numbers, and go on from what is whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dualgnn_dist.training import checkpoint

pytestmark = pytest.mark.faults


def newest_two(run: Path) -> list[Path]:
    """The newest two checkpoints that are whole, the newest first."""
    folders = [run / "checkpoints" / name for name in checkpoint.complete(p.name for p in run.glob("checkpoints/*"))]
    return [folder for folder in folders if checkpoint.exists(folder)][:2]


def test_a_run_killed_before_its_first_validation_goes_on_from_a_checkpoint_by_time(
    write_config: Callable[..., Path], start: Callable[..., Any], tmp_path: Path
) -> None:
    """Its newest checkpoint is damaged, too: one of two workers alone reads the damaged rows."""
    run = tmp_path / "runs" / "tiny"
    settings = {"resources.num_workers": 2, "sampler.batch_size": 64, "checkpoint.every_minutes": 0.001}
    config = write_config({**settings, "train.epochs": 500, "train.eval_every": 500})
    program = start("dualgnn_dist.train", ["--config", config], tmp_path)
    program.wait_for(lambda: len(newest_two(run)) == 2, "two checkpoints within epochs")
    program.end()
    newest, older = newest_two(run)
    assert older.name != newest.name and not list(run.glob("metrics.json"))
    shard = newest / "users-00001-of-00002.pt"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 4
    shard.write_bytes(content)
    epochs = int(checkpoint.describe(older).progress["epoch"]) + 2
    again = start("dualgnn_dist.train", ["--config", config, "--resume", f"train.epochs={epochs}"], tmp_path)
    assert again.wait() == 0, again.output
    said = "\n".join(again.lines)
    assert f"{shard} is damaged: its checksum is another" in said and f"set aside as {newest}.damaged" in said, said
    assert f"resumed from {older} after epoch" in said, said
    assert newest.with_name(f"{newest.name}.damaged").is_dir()
    assert json.loads((run / "metrics.json").read_text())["epochs"] == epochs


def test_workers_that_diverge_go_on_with_a_lower_rate(
    write_config: Callable[..., Path], start: Callable[..., Any], tmp_path: Path
) -> None:
    """What the message says is what is typed then."""
    run = tmp_path / "runs" / "tiny"
    config = write_config({"resources.num_workers": 2, "train.epochs": 1, "optimizer.learning_rate": 1e30})
    program = start("dualgnn_dist.train", ["--config", config], tmp_path)
    assert program.wait() == 2, program.output
    (complaint,) = program.complaints
    assert "training has diverged" in complaint and "--resume optimizer.learning_rate=" in complaint
    arguments = ["--config", config, "--resume", "optimizer.learning_rate=0.003"]
    again = start("dualgnn_dist.train", arguments, tmp_path)
    assert again.wait() == 0, again.output
    assert json.loads((run / "metrics.json").read_text())["epochs"] == 1
    lines = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert [line["changed"] for line in lines if "changed" in line] == [{"optimizer.learning_rate": [1e30, 0.003]}]
    for file in newest_two(run)[0].glob("users-*.pt"):
        assert torch.load(file)["values"].isfinite().all()
