"""A sweep whose trials are stopped early, killed and interrupted: each is accounted for, and nothing runs on."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from dualgnn_dist import tune

pytestmark = pytest.mark.faults

RATE = "optimizer.learning_rate"


def settings(name: str, rates: list[float], **more: Any) -> dict[str, Any]:
    """A sweep that begins with the first rate, the file's own, one trial at a time."""
    return {
        "model.name": "bpr_mf",
        RATE: rates[0],
        "train.epochs": 4,
        "run.name": None,
        "search": {RATE: {"choice": rates}, "optimizer.beta1": {"uniform": [0.8, 0.95]}},
        "sweep": {"trials": 3, "name": name, "concurrency": 1, "grace_epochs": 1, "reduction": 2},
        **more,
    }


def records(folder: Path) -> list[dict[str, Any]]:
    path = folder / "trials.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def states(folder: Path) -> list[str]:
    study = optuna.load_study(study_name=folder.name, storage=f"sqlite:///{folder / 'optuna.db'}")
    return [trial.state.name for trial in study.trials]


def begun(folder: Path) -> Callable[[], list[Path]]:
    """The histories of runs that have trained an epoch."""
    return lambda: [path for path in folder.glob("trials/*/s*/history.jsonl") if path.stat().st_size]


def test_a_trial_follows_one_that_was_stopped_on_workers(
    write_config: Callable[..., Path], start: Callable[..., Any], tmp_path: Path
) -> None:
    # The rates that come after the first learn next to nothing: stopped at their first report. What is drawn is seeded.
    rates = [0.05, *(number * 1e-9 for number in range(1, 20))]
    config = write_config(settings("asha", rates, **{"resources.num_workers": 1, "train.epochs": 3}))
    program, folder = start("dualgnn_dist.tune", ["--config", config], tmp_path), tmp_path / "runs" / "asha"
    assert program.wait() == 0, program.output
    assert not program.leftovers()
    ended = [trial["state"] for trial in records(folder)]
    assert len(ended) == 3 and "stopped" in ended[:-1], ended
    assert sorted(states(folder)) == sorted({"complete": "COMPLETE", "stopped": "PRUNED"}[state] for state in ended)


def test_asked_to_stop_it_ends_with_checkpoints_and_goes_on_later(
    write_config: Callable[..., Path],
    start: Callable[..., Any],
    refused: Callable[..., str],
    tmp_path: Path,
) -> None:
    asked = settings("stop", [0.02, 0.01], **{"resources.num_workers": 1, "train.epochs": 12})
    config, folder = write_config({**asked, "sweep": {**asked["sweep"], "trials": 2}}), tmp_path / "runs" / "stop"
    program = start("dualgnn_dist.tune", ["--config", config], tmp_path)
    (history,) = program.wait_for(begun(folder), "the first epoch of a trial")
    for more in ((), ("--resume",)):
        assert "is being written by process" in refused(tune.main, "--config", config, *more)
    program.process.send_signal(signal.SIGTERM)
    assert program.wait(60) == 143, program.output
    assert not program.leftovers()
    assert "stopped: 0 of 2 trials are recorded" in program.output and "Traceback" not in program.output
    assert records(folder) == [] and "RUNNING" not in states(folder)
    num_epochs = history.read_text().count('"loss"')

    program = start("dualgnn_dist.tune", ["--config", config, "--resume", "resources.num_workers=0"], tmp_path)
    assert program.wait() == 0, program.output
    assert len(records(folder)) == 2 and set(states(folder)) <= {"COMPLETE", "PRUNED", "FAIL"}
    assert len(list(folder.glob("trials/*"))) == 2, "the trial that was stopped went on in its folder"
    assert 1 <= num_epochs <= 12 and history.read_text().count('"loss"') == 12, "no epoch was trained twice"


def test_asked_twice_it_ends_at_once(
    write_config: Callable[..., Path], start: Callable[..., Any], tmp_path: Path
) -> None:
    asked = settings("twice", [0.02, 0.01], **{"resources.num_workers": 0, "train.epochs": 5000})
    program = start("dualgnn_dist.tune", ["--config", write_config(asked)], tmp_path)
    folder = tmp_path / "runs" / "twice"
    program.wait_for(begun(folder), "the first epoch of a trial")
    program.process.send_signal(signal.SIGINT)
    time.sleep(1)
    program.process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    assert program.wait(30) == 130, program.output
    assert time.monotonic() - sent < 20 and "Traceback" not in program.output
    assert not program.leftovers()


@pytest.mark.parametrize(("num_workers", "process"), [(0, "ImplicitFunc"), (1, "RayTrainWorker")])
def test_a_trial_whose_process_is_killed_is_recorded(
    write_config: Callable[..., Path], start: Callable[..., Any], tmp_path: Path, num_workers: int, process: str
) -> None:
    resources = {"resources.num_workers": num_workers, "resources.max_failures": 0}
    asked = settings("killed", [0.02, 0.01], **{**resources, "train.epochs": 12 if num_workers else 60})
    asked["sweep"] = {**asked["sweep"], "trials": 2, "stopper": "none"}
    program, folder = start("dualgnn_dist.tune", ["--config", write_config(asked)], tmp_path), tmp_path / "runs/killed"
    program.wait_for(begun(folder), "the first epoch of a trial")
    (victim,) = [one.pid for one in program.descendants() if process in " ".join(one.cmdline())]
    program.kill(victim)
    assert program.wait() == 0, program.output
    failed, complete = records(folder)
    assert (failed["state"], complete["state"]) == ("failed", "complete")
    assert "died" in Path(failed["error"].rpartition(": ")[2]).read_text(), "the error ends with where all of it is"
    assert states(folder) == ["FAIL", "COMPLETE"] and not program.leftovers()
