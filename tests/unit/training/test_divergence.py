"""A step that is not finite ends the run soon, on every worker, with what was in its batch; a lower rate goes on."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dualgnn_dist import train
from dualgnn_dist.base.command_line import run_program
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.results.run_record import RunRecord
from dualgnn_dist.training import checkpoint, stop
from dualgnn_dist.training.checkpoint import clock
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.divergence.watch import Watch
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.load import load
from dualgnn_dist.training.run import Run
from dualgnn_dist.training.trainer import Diverged, Trainer


def make_config(store: Store, output: Path, *overrides: str, begun: bool = True) -> RunConfig:
    values = {
        "data": {"store": str(store.path)},
        "model": {"name": "dualgnn", "width": 4},
        "sampler": {"batch_size": 37, "fanouts": [3, 2]},
        "optimizer": {"learning_rate": 0.01},
        "train": {"epochs": 4, "eval_every": 1, "patience": None},
        "resources": {"num_workers": 0},
        "run": {"name": "run", "output": str(output)},
    }
    path = output / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    config = load(path, overrides)
    if begun:
        Run(config.run).begin(config.to_yaml(), resume=False)
    return config


def train_with_a_bad_gradient(world: World, config: RunConfig, at: int, rank: int, value: float) -> dict[str, Any]:
    """A gradient of one row of the users is `value` on one worker in step `at` of the run; the loss stays finite."""
    trainer = Trainer.build(config, Store.open(config.data.store), Host(world))
    trainer.resume()
    table, losses = trainer.state.tables["users"], []
    fetch, progress = table.fetch, trainer.progress

    def fetch_and_spoil(rows: Any) -> torch.Tensor:
        fetched = fetch(rows)
        now = progress.epoch * trainer.loader.num_steps + progress.step
        if world.rank == rank and now == at and torch.is_grad_enabled():
            fetched.register_hook(lambda gradient: gradient.index_fill(0, torch.tensor([0]), value))
        return fetched

    table.fetch = fetch_and_spoil  # type: ignore[method-assign]
    step = trainer.train_step

    def step_and_note(batch: Any) -> torch.Tensor:
        losses.append(step(batch))
        return losses[-1]

    trainer.train_step = step_and_note  # type: ignore[method-assign]
    with pytest.raises(Diverged) as error:
        trainer.fit()
    return {
        "said": str(error.value),
        "steps": len(losses),
        "bad_loss": float(losses[at]),
        "triples": trainer.loader.triples(*divmod(at, trainer.loader.num_steps))._asdict(),
    }


@pytest.fixture
def _meet_after_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop, "SECONDS_BETWEEN_MEETINGS", 0.0)


@pytest.mark.usefixtures("_meet_after_every_step")
@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])
def test_a_bad_gradient_is_noticed_while_the_loss_is_finite(demo_store: Store, tmp_path: Path, value: float) -> None:
    """1e30 is finite; its square, which Adam keeps, is not."""
    config = make_config(demo_store, tmp_path)
    num_steps = Trainer.build(config, demo_store, Host()).loader.num_steps
    at = num_steps + 4
    found = train_with_a_bad_gradient(World(), config, at, 0, value)
    assert math.isfinite(found["bad_loss"]) and found["steps"] == at + 1, "it was noticed at the next meeting"
    path = config.run.folder / "diverged-epoch-00002-step-0000005.json"
    assert "training has diverged: step 5 of epoch 2 gave a loss or a gradient that is not finite" in found["said"]
    assert f"the batch is in {path}" in found["said"] and "epoch-00001, with a lower rate" in found["said"]
    assert "the visual content of item '" in found["said"] and "the row of user '" in found["said"]
    record = json.loads(path.read_text())
    assert record["workers"][0]["batch"] == {name: rows.tolist() for name, rows in found["triples"].items()}
    assert [path.name for path in (config.run.folder / "checkpoints").iterdir()] == ["epoch-00001"]


def test_the_step_is_named_however_late_the_workers_meet(demo_store: Store, tmp_path: Path) -> None:
    found = train_with_a_bad_gradient(World(), make_config(demo_store, tmp_path), 2, 0, math.nan)
    assert "step 3 of epoch 1 gave" in found["said"] and "begin anew with a lower rate: --resume" in found["said"]
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_all_workers_break_off_alike(demo_store: Store, tmp_path: Path, run_workers: Callable[..., list[Any]]) -> None:
    """The gradient of one of them alone is bad."""
    config = make_config(demo_store, tmp_path)
    found = run_workers(train_with_a_bad_gradient, 2, config, 3, 1, math.nan)
    assert found[0]["said"] == found[1]["said"] and "step 4 of epoch 1 gave" in found[0]["said"]
    (path,) = config.run.folder.glob("diverged-*.json")
    record = json.loads(path.read_text())
    assert [worker["rank"] for worker in record["workers"]] == [0, 1]
    for worker, theirs in zip(record["workers"], found, strict=True):
        assert worker["batch"] == {name: rows.tolist() for name, rows in theirs["triples"].items()}


def test_no_state_that_is_not_finite_is_saved(demo_store: Store, tmp_path: Path) -> None:
    """Even where no step was bad: a number in memory was."""
    config = make_config(demo_store, tmp_path)
    trainer = Trainer.build(config, demo_store, Host())
    validate = trainer.evaluator.validate

    def validate_and_spoil() -> dict[str, float]:
        values = validate()
        if trainer.progress.epoch == 2:
            trainer.state.tables["users"].state.second_moment[5, 1] = math.inf
        return values

    trainer.evaluator.validate = validate_and_spoil  # type: ignore[method-assign]
    with pytest.raises(Diverged, match=r"had learned by step \d+ of epoch 2 is not finite \(second moment of users\)"):
        trainer.fit()
    assert [path.name for path in (config.run.folder / "checkpoints").iterdir()] == ["epoch-00001"]


def test_every_part_of_the_state_is_looked_at(demo_store: Store, tmp_path: Path) -> None:
    trainer = Trainer.build(make_config(demo_store, tmp_path), demo_store, Host())
    trainer.train_step(trainer.loader.batch(0, 0))
    state, optimizer = trainer.state, trainer.state.dense_optimizer
    assert optimizer is not None and state.parts_not_finite() == []
    rows, moments = state.tables["users"].state, next(iter(optimizer.state.values()))
    parts = {"values of users": rows.values, "first moment of users": rows.first_moment}
    parts |= {"second moment of users": rows.second_moment, "dense weights' exp avg 0": moments["exp_avg"]}
    name, weight = next(iter(state.model.named_parameters()))
    parts[f"dense weights {name}".replace("_", " ")] = weight.data
    for part, values in parts.items():
        for bad in (math.nan, math.inf, -math.inf):
            kept, values.view(-1)[3] = values.view(-1)[3].clone(), bad
            assert state.parts_not_finite() == [part]
            values.view(-1)[3] = kept


@pytest.mark.usefixtures("_meet_after_every_step")
def test_what_the_message_advises_works(demo_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Diverges in the second start, goes on with a lower rate from the last good checkpoint, and finishes."""
    make_config(demo_store, tmp_path, begun=False)
    command = ["--config", str(tmp_path / "config.yaml")]
    train.main([*command, "train.epochs=1"])
    folder = tmp_path / "run"
    first = json.loads((folder / "metrics.json").read_text())
    with pytest.raises(UserError, match=r"was started with optimizer.learning_rate=0.01, the config says 0.1"):
        train.main([*command, "--resume", "optimizer.learning_rate=0.1"])  # it has not diverged
    make_it_diverge(folder)
    with pytest.raises(SystemExit) as ended:
        run_program(lambda: train.main([*command, "--resume", "optimizer.learning_rate=1e30"]))
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "go on from the last good checkpoint, epoch-00001, with a lower rate: --resume" in said, said
    assert "optimizer.learning_rate=1e+29 (it is 1e+30)" in said
    with pytest.raises(UserError, match=r"was started with sampler.batch_size=37"):
        train.main([*command, "--resume", "optimizer.learning_rate=0.001", "sampler.batch_size=50"])
    train.main([*command, "--resume", "optimizer.learning_rate=0.001"])
    assert "resumed from" in capsys.readouterr().out
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["epochs"] == 4 and metrics["run"] == first["run"]
    assert yaml.safe_load((folder / "config.yaml").read_text())["optimizer"]["learning_rate"] == 0.001
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert [line["changed"] for line in lines if "changed" in line] == [
        {"optimizer.learning_rate": [0.01, 1e30]},
        {"optimizer.learning_rate": [1e30, 0.001]},
    ]
    assert [line["diverged"]["epoch"] for line in lines if "diverged" in line][-1] == 2
    assert sorted(RunRecord.read(folder).training) == [1, 2, 3, 4], "the history can be read back"


def make_it_diverge(folder: Path) -> None:
    """Notes that it has, which is what allows another rate."""
    with (folder / "history.jsonl").open("a") as file:
        file.write('{"epoch": 1, "diverged": {"epoch": 2, "step": 1, "file": "none"}}\n')


def test_a_resumed_rate_is_the_one_that_is_used(demo_store: Store, tmp_path: Path) -> None:
    config = make_config(demo_store, tmp_path, "train.epochs=1")
    Trainer.build(config, demo_store, Host()).fit()
    slower = load(tmp_path / "config.yaml", ["optimizer.learning_rate=0.001"])
    trainer = Trainer.build(slower, demo_store, Host())
    trainer.resume()
    optimizer = trainer.state.dense_optimizer
    assert optimizer is not None and [group["lr"] for group in optimizer.param_groups] == [0.001]
    assert len(optimizer.state) > 0, "its moments are those of the checkpoint"


def test_a_run_that_diverges_before_its_first_checkpoint_keeps_its_folder(demo_store: Store, tmp_path: Path) -> None:
    make_config(demo_store, tmp_path, begun=False)
    command = ["--config", str(tmp_path / "config.yaml"), "train.epochs=1"]
    with pytest.raises(Diverged, match="begin anew with a lower rate"):
        train.main([*command, "optimizer.learning_rate=1e30"])
    assert list((tmp_path / "run").glob("diverged-*.json"))
    train.main([*command, "--resume", "optimizer.learning_rate=0.001"])
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["epochs"] == 1


def test_a_step_is_watched_without_waiting_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(torch.device("cpu"))

    def waits(*_: Any, **__: Any) -> Any:
        raise AssertionError("it asks for a value")

    with monkeypatch.context() as patch:
        for name in ("item", "__bool__", "__float__", "__int__", "tolist", "cpu", "numpy"):
            patch.setattr(torch.Tensor, name, waits)
        for loss in (1.0, math.nan, 2.0):
            watch.saw(torch.tensor(loss), [torch.ones(3, 2), None, torch.ones(5)])
        broken = watch.is_broken()
    assert broken.item() is True and watch.look() == 2 and watch.look() is None


def test_checkpoints_by_time_are_seldom_enough_to_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])
    save_clock, saved = checkpoint.SaveClock(10), []
    for minute in range(1, 120):
        now[0] = 60.0 * minute
        if save_clock.is_due():
            saved.append(minute)
            with save_clock.saving():
                now[0] += 1.0 if minute < 40 else 36.0  # of which 3 % is 20 minutes
    assert saved == [10, 21, 32, 43, 64, 85, 106]
    assert not checkpoint.SaveClock(None).is_due()


@pytest.mark.usefixtures("_meet_after_every_step")
def test_a_checkpoint_by_time_is_one_within_an_epoch(
    demo_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the run that goes on from it is the run, bit for bit."""
    monkeypatch.setattr(clock, "MAX_SHARE", math.inf)
    (tmp_path / "whole").mkdir()
    whole = Trainer.build(make_config(demo_store, tmp_path / "whole", "train.epochs=1"), demo_store, Host()).fit()
    config = make_config(demo_store, tmp_path, "train.epochs=1", "checkpoint.every_minutes=1e-9")
    trainer = Trainer.build(config, demo_store, Host())
    step = trainer.train_step

    def step_or_die(batch: Any) -> torch.Tensor:
        if trainer.progress.step == 6:
            raise KeyboardInterrupt
        return step(batch)

    trainer.train_step = step_or_die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    newest = Run(config.run).newest()
    assert newest is not None and newest.name == "epoch-00000-step-0000006"
    resumed = Trainer.build(config, demo_store, Host())
    resumed.resume()
    assert torch.equal(resumed.fit().representations.users, whole.representations.users)
