"""A run reports its best epoch, not its last, and an epoch cut in two has the loss of a whole one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
import yaml

from dualgnn_dist.base.errors import Stopped
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation import representations
from dualgnn_dist.training import stop
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.evaluator import Evaluator, evaluate_best
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.load import load
from dualgnn_dist.training.run_folder import HISTORY, METRICS, REPRESENTATIONS
from dualgnn_dist.training.stop import STOP
from dualgnn_dist.training.trainer import Trainer
from dualgnn_dist.training.worker import run_worker

FALLING = (0.1, 0.5, 0.5, 0.2)
"""Validation by epoch: the second is the best, and the third no better than it."""
BEST = 2


def make_config(store: Store, output: Path, name: str, epochs: int) -> RunConfig:
    values = {
        "data": {"store": str(store.path)},
        "model": {"name": "dualgnn", "width": 8},
        "sampler": {"batch_size": 64, "fanouts": [3, 2]},
        "optimizer": {"learning_rate": 0.05},
        "train": {"epochs": epochs, "eval_every": 1, "patience": None, "metric": "recall@5"},
        "run": {"name": name, "output": str(output)},
    }
    path = output / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values))
    return load(path)


def run_with_validations(world: World, config: RunConfig, values: Iterator[float]) -> None:
    """A whole run in which the validation items seem to be ranked so well, evaluation after evaluation."""

    def validate(evaluator: Evaluator) -> dict[str, float]:
        metrics = evaluator.rank(evaluator.represent(), "valid")["all"]
        return {**metrics, "recall@5": next(values)}

    with mock.patch.object(Evaluator, "validate", validate):
        run_worker(config, Host(world))


def falling_runs(world: World, configs: dict[str, RunConfig]) -> dict[str, float]:
    run_with_validations(world, configs["short"], iter(FALLING[:BEST]))
    run_with_validations(world, configs["rising"], iter((0.1, 0.2, 0.3, 0.4)))
    run_with_validations(world, configs["falling"], iter(FALLING))
    parts = configs["parts"]  # the best epoch lies before the resume
    run_with_validations(world, replace(parts, train=replace(parts.train, epochs=3)), iter(FALLING[:3]))
    run_with_validations(world, parts, iter(FALLING[3:]))
    return evaluate_best(configs["falling"], Host(world), "test")["all"]


def outcome(config: RunConfig) -> dict[str, Any]:
    metrics = json.loads((config.run.folder / METRICS).read_text())
    folder = config.run.folder / REPRESENTATIONS
    vectors = [representations.read(path).vectors for path in sorted(folder.glob("*.arrow"))]
    return {
        "test": metrics["test"],
        "best_epoch": metrics["best_epoch"],
        "validation": metrics["validation"],
        "vectors": np.concatenate([np.ravel(part) for part in vectors]),
    }


@pytest.mark.parametrize("size", [1, 2])
def test_a_run_whose_validation_falls_reports_its_best_epoch(
    size: int, demo_store: Store, tmp_path: Path, run_workers: Callable[..., list[Any]]
) -> None:
    """The outcome is that of a run which ends with that epoch, whatever was trained after it."""
    epochs = {"short": BEST, "rising": 4, "falling": 4, "parts": 4}
    configs = {name: make_config(demo_store, tmp_path, name, number) for name, number in epochs.items()}
    evaluated = run_workers(falling_runs, size, configs)
    short, rising, falling, parts = (outcome(configs[name]) for name in ("short", "rising", "falling", "parts"))
    assert rising["best_epoch"] == 4 and rising["test"] != short["test"], "epochs must differ, or nothing is shown"
    assert not np.array_equal(rising["vectors"], short["vectors"])
    for run in (falling, parts):
        assert run["best_epoch"] == BEST
        assert run["test"] == short["test"] and run["validation"] == short["validation"]
        np.testing.assert_array_equal(run["vectors"], short["vectors"])
    assert evaluated[0] == short["test"]  # `evaluate` afterwards takes the same state


def cut_in_two(world: World, whole: RunConfig, parts: dict[str, RunConfig]) -> None:
    stop.SECONDS_BETWEEN_MEETINGS = 0.0  # this process ends with the test: workers meet after every step
    Trainer.build(whole, Store.open(whole.data.store), Host(world)).train()
    for config in parts.values():
        stop_after_3_steps(world, config)
    resume(world, parts["two"])


def stop_after_3_steps(world: World, config: RunConfig) -> None:
    trainer = Trainer.build(config, Store.open(config.data.store), Host(world))
    step = trainer.train_step

    def step_and_ask(batch: Any) -> torch.Tensor:
        if world.is_main and trainer.progress.step == 2:
            config.run.folder.mkdir(parents=True, exist_ok=True)
            (config.run.folder / STOP).write_text("SIGTERM")
        return step(batch)

    with mock.patch.object(trainer, "train_step", step_and_ask), pytest.raises(Stopped):
        trainer.train()
    world.barrier()
    if world.is_main:
        (config.run.folder / STOP).unlink()
    world.barrier()


def resume(world: World, config: RunConfig) -> None:
    trainer = Trainer.build(config, Store.open(config.data.store), Host(world))
    trainer.resume()
    assert (trainer.progress.epoch, trainer.progress.step) == (0, 3)
    trainer.train()


def losses(config: RunConfig) -> list[float]:
    lines = [json.loads(line) for line in (config.run.folder / HISTORY).read_text().splitlines()]
    return [line["training"]["loss"] for line in lines if "training" in line]


def test_an_epoch_cut_in_two_has_the_loss_of_a_whole_one(
    demo_store: Store, tmp_path: Path, run_workers: Callable[..., list[Any]]
) -> None:
    """Two workers stop within an epoch; what both had summed up is in the loss that two, or one, go on to."""
    whole, *cut = (make_config(demo_store, tmp_path, name, epochs=2) for name in ("whole", "two", "one"))
    parts = dict(zip(("two", "one"), cut, strict=True))
    run_workers(cut_in_two, 2, whole, parts)
    resume(World(), parts["one"])
    assert losses(parts["two"]) == pytest.approx(losses(whole), rel=1e-12)
    assert losses(parts["one"]) == pytest.approx(losses(whole), rel=1e-4)
    assert losses(whole)[0] != pytest.approx(losses(whole)[1], rel=1e-3)
