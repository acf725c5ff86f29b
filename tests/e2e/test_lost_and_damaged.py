"""Runs on workers lose their processes or their numbers, and go on from what is whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dualgnn_dist.training import checkpoint

pytestmark = pytest.mark.faults


def newest_whole(run: Path) -> Path | None:
    folders = [run / "checkpoints" / name for name in checkpoint.complete(p.name for p in run.glob("checkpoints/*"))]
    return next((folder for folder in folders if checkpoint.exists(folder)), None)


def test_a_run_killed_before_its_first_validation_goes_on_from_a_checkpoint_by_time(
    write_config: Callable[..., Path], start: Callable[..., Any], tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "tiny"
    settings = {"resources.num_workers": 2, "sampler.batch_size": 64, "checkpoint.every_minutes": 0.001}
    config = write_config({**settings, "train.epochs": 500, "train.eval_every": 500})
    program = start("dualgnn_dist.train", ["--config", config], tmp_path)
    program.wait_for(lambda: newest_whole(run), "a checkpoint within an epoch")
    program.end()
    newest = newest_whole(run)
    assert newest is not None and not (run / "metrics.json").exists()
    epochs = int(checkpoint.describe(newest).progress["epoch"]) + 1
    again = start("dualgnn_dist.train", ["--config", config, "--resume", f"train.epochs={epochs}"], tmp_path)
    assert again.wait() == 0, again.output
    assert f"resumed from {newest} after epoch" in "\n".join(again.lines), again.output
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
    newest = newest_whole(run)
    assert newest is not None
    for file in newest.glob("users-*.pt"):
        assert torch.load(file)["values"].isfinite().all()
