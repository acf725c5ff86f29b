"""Training is the same computation on any number of workers, and across a resume."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.inference import infer
from dualgnn_dist.models import MODELS
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.load import load
from dualgnn_dist.training.run import Run
from dualgnn_dist.training.trainer import Trainer


def make_config(store: Store, output: Path, model: str, epochs: int = 2, **sampler: Any) -> RunConfig:
    values = {
        "data": {"store": str(store.path)},
        "model": {"name": model, "width": 8},
        "sampler": {"batch_size": 37, "fanouts": [3, 2], **sampler},
        # With an epsilon that is felt: Adam alone would hide a gradient of the wrong scale.
        "optimizer": {"learning_rate": 0.01, "epsilon": 0.001},
        "train": {"epochs": epochs, "eval_every": 1, "patience": None},
        "run": {"name": "run", "output": str(output)},
    }
    path = output / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    return load(path)


def train_20_steps(world: World, config: RunConfig) -> dict[str, torch.Tensor]:
    torch.manual_seed(world.rank)  # workers must not rely on it
    trainer = Trainer.build(config, Store.open(config.data.store), Host(world))
    losses = []
    for step in range(20):
        epoch, step_of_epoch = divmod(step, trainer.loader.num_steps)
        batch = trainer.loader.batch(epoch, step_of_epoch)
        losses.append(world.sum(trainer.train_step(batch).double()) / batch.global_size)
    found = infer(trainer.state.model, trainer.state.tables, Store.open(config.data.store), world)
    users = torch.empty(trainer.state.tables["users"].num_rows, found.users.shape[1])
    for rank, part in enumerate(world.gather_rows(found.users)):
        users[rank :: world.size] = part
    dense = {f"dense.{name}": value.detach() for name, value in trainer.state.model.named_parameters()}
    return {"losses": torch.stack(losses), "users": users, "items": found.items, **dense}


@pytest.mark.parametrize("model", list(MODELS))
def test_two_and_three_workers_do_what_one_does(
    model: str, demo_store: Store, tmp_path: Path, run_workers: Callable[..., list[Any]]
) -> None:
    # Sampled, not at full fanout: what a node draws depends on the step and the node, never on the worker. Nor does
    # whether it is a co-user alone: it may be a user of the batch on another worker. Shared draws depend on the step
    # and the neighbour.
    draws = "shared" if model in ("dualgnn", "lightgcn") else "independent"
    config = make_config(demo_store, tmp_path, model, co_user_fanout=1, draws=draws)
    (alone,) = run_workers(train_20_steps, 1, config)
    for size in (2, 3) if model == "dualgnn" else (2,):
        for result in run_workers(train_20_steps, size, config):
            for name, value in result.items():
                torch.testing.assert_close(value, alone[name], rtol=2e-3, atol=2e-4, msg=lambda m, n=name: f"{n}: {m}")
            torch.testing.assert_close(result["losses"], alone["losses"], rtol=1e-5, atol=1e-6)


def train_epochs(world: World, config: RunConfig, resume: bool) -> dict[str, Any]:
    trainer = Trainer.build(config, Store.open(config.data.store), Host(world))
    if resume:
        assert Run(config.run).newest() is not None
        trainer.resume()
    outcome = trainer.fit()
    return {"test": outcome.test, "users": outcome.representations.users, "progress": outcome.progress}


@pytest.mark.parametrize("size", [1, 2])
def test_a_resumed_run_is_the_run_bit_for_bit(
    size: int, demo_store: Store, tmp_path: Path, run_workers: Callable[..., list[Any]]
) -> None:
    folders = [tmp_path / name for name in ("whole", "parts")]
    for folder in folders:
        (folder / "run").mkdir(parents=True)
    whole, parts = (make_config(demo_store, folder, "dualgnn", epochs=4) for folder in folders)
    expected = run_workers(train_epochs, size, whole, False)
    run_workers(train_epochs, size, replace(parts, train=replace(parts.train, epochs=2)), False)
    found = run_workers(train_epochs, size, parts, True)
    for one, other in zip(expected, found, strict=True):
        assert torch.equal(one["users"], other["users"])
        assert one["test"] == other["test"]
        assert one["progress"].validation == other["progress"].validation
    histories = [(folder / "run" / "history.jsonl").read_text().splitlines() for folder in folders]
    losses = [[json.loads(line).get("training", {}).get("loss") for line in lines] for lines in histories]
    assert losses[0] == losses[1]


def test_a_run_resumes_within_an_epoch_and_with_other_workers(
    demo_store: Store, tmp_path: Path, run_workers: Callable[..., list[Any]]
) -> None:
    (tmp_path / "run").mkdir()
    config = make_config(demo_store, tmp_path, "dualgnn", epochs=1)
    config = replace(config, checkpoint=replace(config.checkpoint, every_steps=4))
    whole = run_workers(train_epochs, 1, config, False)[0]
    run_workers(stop_after_5_steps, 2, config)
    assert Run(config.run).newest().name == "epoch-00000-step-0000004"
    found = run_workers(train_epochs, 1, config, True)[0]
    torch.testing.assert_close(found["users"], whole["users"], rtol=1e-3, atol=1e-4)


def stop_after_5_steps(world: World, config: RunConfig) -> None:
    trainer = Trainer.build(config, Store.open(config.data.store), Host(world))
    step = trainer.train_step

    def step_or_stop(batch: Any) -> torch.Tensor:
        if trainer.progress.step == 5:
            raise KeyboardInterrupt
        return step(batch)

    trainer.train_step = step_or_stop  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
