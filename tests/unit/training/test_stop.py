"""A run that is asked to stop leaves a checkpoint, from which it becomes the run that was never stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dualgnn_dist.base.command_line import run_program
from dualgnn_dist.base.errors import Stopped
from dualgnn_dist.base.liveness.signals import SECONDS_OF_ONE
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.training import stop
from dualgnn_dist.training.config import RunConfig, RunSection
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.load import load
from dualgnn_dist.training.run import Run
from dualgnn_dist.training.stop import STOP, StopMeetings, on_signals
from dualgnn_dist.training.trainer import Trainer


def make_config(store: Store, output: Path, name: str) -> RunConfig:
    values = {
        "data": {"store": str(store.path)},
        "model": {"name": "dualgnn", "width": 8},
        "sampler": {"batch_size": 37, "fanouts": [3, 2]},
        "optimizer": {"learning_rate": 0.01},
        "train": {"epochs": 3, "eval_every": 2, "patience": None},
        "run": {"name": name, "output": str(output)},
    }
    path = output / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    config = load(path)
    config.run.folder.mkdir()
    return config


def train(world: World, config: RunConfig, asked_at: int | None, resume: bool = False) -> dict[str, Any]:
    """Trains; rank 0 is asked in the middle of the step before `asked_at`, counted over epochs."""
    trainer = Trainer.build(config, Store.open(config.data.store), Host(world))
    if resume:
        trainer.resume()
    step = trainer.train_step

    def step_and_ask(batch: Any) -> torch.Tensor:
        progress = trainer.progress
        if world.is_main and progress.epoch * trainer.loader.num_steps + progress.step + 1 == asked_at:
            (config.run.folder / STOP).write_text("SIGTERM")
        return step(batch)

    trainer.train_step = step_and_ask  # type: ignore[method-assign]
    try:
        outcome = trainer.fit()
    except Stopped as stopped:
        return {"stopped": str(stopped), "at": (trainer.progress.epoch, trainer.progress.step)}
    return {"test": outcome.test, "validation": outcome.progress.validation, "users": outcome.representations.users}


def history(config: RunConfig) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (config.run.folder / "history.jsonl").read_text().splitlines()]
    return [
        {"epoch": line["epoch"], "loss": line.get("training", {}).get("loss"), "validation": line.get("validation")}
        for line in lines
    ]


@pytest.fixture(autouse=True)
def _meet_after_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop, "SECONDS_BETWEEN_MEETINGS", 0.0)


@pytest.mark.parametrize("asked_at", [1, 5, -1, 0])
def test_a_stopped_run_goes_on_as_if_nothing_had_happened(asked_at: int, demo_store: Store, tmp_path: Path) -> None:
    """In the first step, within an epoch, in the last step of one without validation, and of one with it."""
    whole, parts = (make_config(demo_store, tmp_path, name) for name in ("whole", "parts"))
    num_steps = Trainer.build(whole, demo_store, Host(World())).loader.num_steps
    asked_at = {-1: num_steps, 0: 2 * num_steps}.get(asked_at, asked_at)
    expected = train(World(), whole, None)
    found = train(World(), parts, asked_at)
    checkpoint = Run(parts.run).newest()
    assert found["at"] == divmod(asked_at, num_steps)
    assert found["stopped"] == f"checkpoint {checkpoint}; go on with --resume"
    (parts.run.folder / STOP).unlink()
    resumed = train(World(), parts, None, resume=True)
    assert torch.equal(resumed["users"], expected["users"])
    assert resumed["test"] == expected["test"] and resumed["validation"] == expected["validation"]
    assert history(parts) == history(whole)


def test_all_workers_stop_after_the_same_step(
    demo_store: Store, tmp_path: Path, run_workers: Callable[..., list[Any]]
) -> None:
    """The workers are processes of their own, and so meet as often as they do in a real run."""
    config = make_config(demo_store, tmp_path, "run")
    found = run_workers(train, 2, config, 3)
    assert found[0] == found[1] and "stopped" in found[0]
    assert found[0]["at"] >= (0, 3)
    assert Run(config.run).newest() is not None
    (config.run.folder / STOP).unlink()
    again = run_workers(train, 2, config, None, True)
    whole = run_workers(train, 2, make_config(demo_store, tmp_path, "whole"), None)
    for one, other in zip(again, whole, strict=True):
        assert torch.equal(one["users"], other["users"]) and one["test"] == other["test"]


def test_meetings_are_half_a_second_apart_whatever_a_step_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop, "SECONDS_BETWEEN_MEETINGS", 0.5)
    clock = [0.0]
    monkeypatch.setattr(stop.time, "perf_counter", lambda: clock[0])
    for seconds, expected in ((0.01, 50), (0.2, 2), (3.0, 1), (0.0, 1000)):
        meetings, reads = StopMeetings(tmp_path, World()), []
        monkeypatch.setattr(stop, "is_asked", lambda folder, reads=reads: bool(reads.append(clock[0])))
        for _ in range(2001):
            clock[0] += seconds
            meetings.after_step()
        assert len(reads) == pytest.approx(2000 / expected, abs=2)


def test_a_run_of_long_steps_is_stopped_after_the_first_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The meeting before the first step comes at once: it must not be taken for a step, or a thousand would follow."""
    monkeypatch.setattr(stop, "SECONDS_BETWEEN_MEETINGS", 0.5)
    clock = [0.0]
    monkeypatch.setattr(stop.time, "perf_counter", lambda: clock[0])
    meetings = StopMeetings(tmp_path, World())
    clock[0] += 0.0001
    assert not meetings.meet()
    (tmp_path / STOP).write_text("SIGTERM")
    clock[0] += 10.0
    assert meetings.after_step()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_asks_and_the_exit_code_names_it(
    number: signal.Signals, code: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)

    def program() -> None:
        with on_signals(tmp_path):
            assert not stop.is_asked(tmp_path)
            os.kill(os.getpid(), number)
            wait_until(lambda: stop.is_asked(tmp_path))
            raise Stopped("checkpoint c; go on with --resume")

    with pytest.raises(SystemExit) as ended:
        run_program(program)
    assert ended.value.code == code
    assert capfd.readouterr().err == (
        "asked to stop: a checkpoint after this step; ask again to end at once, without one\n"
        "stopped: checkpoint c; go on with --resume\n"
    )
    assert signal.getsignal(number) is before and not (tmp_path / STOP).exists()


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def test_where_no_worker_is_at_work_the_first_signal_ends(tmp_path: Path) -> None:
    with (
        pytest.raises(Stopped, match="no worker was at work") as stopped,
        on_signals(tmp_path, has_begun=lambda: False),
    ):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    assert stopped.value.exit_code == 143


DEAF = """
import subprocess, sys, time
from pathlib import Path
from numba import njit
from dualgnn_dist.base.command_line import run_program
from dualgnn_dist.training.stop import on_signals

@njit(nogil=True)
def endless(x):
    while x > 0:
        x += 1 if x < 1000 else -1
    return x

def program():
    child = subprocess.Popen([sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)"])
    endless.compile("int64(int64)")
    {signals}
        print(child.pid, flush=True)
        endless(1)

run_program(program)
"""


@pytest.mark.parametrize("signals", ["with on_signals(Path(sys.argv[1])):", "if True:"])
def test_a_second_signal_ends_a_process_that_hears_nothing_and_its_stopped_child(signals: str, tmp_path: Path) -> None:
    """The main thread is in a kernel that never ends, so no handler of Python's can run."""
    program = subprocess.Popen(
        [sys.executable, "-c", DEAF.replace("{signals}", signals), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None and program.stderr is not None
    child = int(program.stdout.readline())
    time.sleep(0.5)  # by then it is in the kernel
    program.send_signal(signal.SIGINT)
    if "on_signals" in signals:
        assert program.stderr.readline().startswith("asked to stop")
        wait_until(lambda: stop.is_asked(tmp_path))
    program.send_signal(signal.SIGINT)  # as `timeout` does, which passes one signal on twice
    time.sleep(SECONDS_OF_ONE + 0.2)
    assert program.poll() is None
    program.send_signal(signal.SIGINT)
    assert program.wait(5) == 130
    assert program.stderr.read() == "ended at once, without a checkpoint\n"
    wait_until(lambda: not Path(f"/proc/{child}").exists())


def test_a_run_that_does_not_answer_is_said_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stop, "SECONDS_TO_ANSWER", 0.1)
    with on_signals(tmp_path, where=lambda: "training, epoch 3, step 17"):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.4)
    lines = capfd.readouterr().err.splitlines()
    assert lines[1] == (
        "not stopped after 0.1 s: no step has ended since (training, epoch 3, step 17); ask again to end at once"
    )


def test_a_request_that_was_left_behind_is_none(tmp_path: Path) -> None:
    (tmp_path / STOP).write_text("SIGTERM")
    with on_signals(tmp_path):
        assert not stop.is_asked(tmp_path)


def test_outside_the_main_thread_signals_are_left_alone(tmp_path: Path) -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def inside() -> None:
        with on_signals(tmp_path):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_checkpoint_that_was_being_written_is_none(tmp_path: Path) -> None:
    old = {"format_version": 1, "num_shards": 1, "written_by": {}, "tables": {}, "progress": {}}
    for name, manifest in (("epoch-00001", json.dumps(old)), ("epoch-00002-step-0000007.partial", "")):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
        (tmp_path / "checkpoints" / name / "checkpoint.json").write_text(manifest)
    run = Run(RunSection(name=tmp_path.name, output=str(tmp_path.parent)))
    assert run.newest() == tmp_path / "checkpoints" / "epoch-00001"
