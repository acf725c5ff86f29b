"""Whatever way a trial ends, there is a record, and a sentence; and how a sweep is asked to stop."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
import ray.tune

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.launch.ray_tune import trials, waiting
from dualgnn_dist.launch.ray_tune.failures import reason
from dualgnn_dist.launch.ray_tune.records import TrialRecords
from dualgnn_dist.launch.ray_tune.stop import EndNow, StopRequest
from dualgnn_dist.training.stop import STOP, is_asked
from dualgnn_dist.training.sweep.folder import SweepFolder, Unaccounted
from tests.unit.launch.test_tune_study import KEY, made

REUSE = "Failure # 1 (occurred at 2026)\nTrainable runner reuse requires reset_config() to be implemented.\n"
KILLED = (
    "ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task.\n\tclass_name: "
    "ImplicitFunc\nThe actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR\n"
)
OWN = "ray::ImplicitFunc.train()\n  File\ndualgnn_dist.training.trainer.Diverged: the loss of epoch 1 is nan\n"


def trial(number: int, text: str | None = None, **result: Any) -> Any:
    error_file = None
    if text is not None:
        error_file = Path(os.environ["STORIES"]) / f"{number}.txt"
        error_file.write_bytes(text.encode(errors="surrogateescape"))
    config = {"number": number, "params": {KEY: 0.001 * (number + 1)}}
    return SimpleNamespace(
        trial_id=str(number), config=config, last_result=result, error_file=error_file, status="RUNNING"
    )


@pytest.fixture
def stories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORIES", str(tmp_path))


def recorder(tmp_path: Path, is_over: bool = False) -> tuple[TrialRecords, SweepFolder]:
    sweep, folder = made(tmp_path, trials=9)
    folder.start(sweep, resume=False)
    return TrialRecords(sweep, folder, [], lambda: is_over), folder


def test_every_end_comes_to_one_record(tmp_path: Path, stories: None, capsys: pytest.CaptureFixture[str]) -> None:
    records, folder = recorder(tmp_path)
    ended = [
        trial(0, value=0.5, epoch=3, is_complete=True, time_total_s=2.0, seed_values=[0.5]),
        trial(1, value=0.4, epoch=1),
        trial(2, OWN),
        trial(3, KILLED),
        trial(4, REUSE),  # Ray tells nobody of this one
        trial(5, "\udcff\x1b[31m" + "x" * 9999),
        trial(6),  # nor of this one, whatever became of it
        trial(7, value=float("nan"), epoch=3, is_complete=True),
    ]
    records.on_step_end(0, ended)
    for one in (ended[0], ended[0], ended[1], ended[7]):
        records.on_trial_complete(0, ended, one)
    for one in (ended[2], ended[3], ended[3], ended[5]):
        records.on_trial_error(0, ended, one)
    records.settle()
    records.settle()
    written = {record.number: record for record in folder.trials()}
    assert len(folder.read_trials()[0]) == len(written) == 8
    assert [written[n].state for n in range(8)] == ["complete", "stopped", *["failed"] * 6]
    assert written[2].error == "the loss of epoch 1 is nan"
    assert written[3].error.startswith("its process ended without a word")
    assert "reset_config()" in written[4].error and "Ray ended it without a reason" in written[6].error
    assert len(written[5].error) < 1000 and written[7].value is None
    for number in (3, 4, 5):
        story = Path(written[number].error.partition("all of it: ")[2])
        assert story.is_relative_to(folder.path) and story.stat().st_size > 50
    shown = capsys.readouterr().out
    assert shown.count("\n") == 8 and "\x1b" not in shown and "8 of 9" in shown


def test_trials_that_a_stop_cuts_short_have_no_record(tmp_path: Path, stories: None) -> None:
    records, folder = recorder(tmp_path, is_over=True)
    running, pending = trial(0, OWN), trial(1)
    pending.status = "PENDING"
    runs = [records._sweep.run(one.config["params"]).run.folder for one in (running, pending)]
    for run in runs:
        run.mkdir(parents=True)
        (run / STOP).write_text("")
    records.on_step_end(0, [running, pending])
    assert [is_asked(run) for run in runs] == [True, False]
    records.on_trial_error(0, [], running)
    assert folder.trials() == []
    records.on_trial_complete(0, [], trial(2, value=0.5, epoch=3, is_complete=True))
    assert [record.number for record in folder.trials()] == [2], "one that came to its end counts"


def test_a_process_is_not_used_for_two_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(ray.tune, "with_parameters", lambda function, **_: function)
    monkeypatch.setattr(ray.tune, "Tuner", lambda trainable, **settings: asked.update(settings))
    records, folder = recorder(tmp_path)
    trials._tuner(records._sweep, folder, 3, None, records)  # type: ignore[arg-type]
    assert asked["tune_config"].reuse_actors is False, "Ray forgets the trial after one that is slow to stop"
    assert asked["run_config"].callbacks == [records]


def test_rays_own_error_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALGNN_STUDY_PASSWORD", "hunter/2")
    records, folder = recorder(tmp_path)
    records.on_trial_complete(0, [], trial(0, value=0.5, epoch=3, is_complete=True))
    error = trials._ended_early(RuntimeError("boom \udcff of me:hunter%2F2@host, hunter/2"), folder, records._sweep)
    assert isinstance(error, Unaccounted) and "1 of 9 trials recorded" in str(error)
    story = (folder.path / "ray" / "failure.txt").read_text()
    assert "boom" in story and "hunter" not in story and "hunter" not in str(error)
    wrapped = RuntimeError("the run failed")
    wrapped.__cause__ = UserError("the disk is full")
    assert str(trials._ended_early(wrapped, folder, records._sweep)) == "the disk is full"


def test_trials_that_wait_are_said_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr(waiting.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(ray, "available_resources", lambda: {"CPU": 1.0})
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 4.0})
    one, watch = trial(0), waiting.Waiting()
    one.placement_group_factory = SimpleNamespace(required_resources={"CPU": 2})
    for clock[0] in range(0, 200, 5):
        one.status = "RUNNING" if clock[0] < 50 else "PENDING"
        watch.look([one])
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2 and "each waits for 2 CPU; free are 1 of 4 CPU" in said[0], said


def test_reasons() -> None:
    assert reason("") == "no reason was given" and reason("a.b.Error: what\n\n") == "what"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_asks_and_the_second_ends(
    number: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(number)
    with StopRequest() as stop, stop.patiently():
        assert not stop.is_asked()
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)  # at once, as `timeout` passes one on: no second one
        assert stop.is_asked() and stop.number == number
        monkeypatch.setattr(stop, "_first", 0.0)
        with pytest.raises(EndNow):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before
    assert "ask again to end at once" in capfd.readouterr().err
    with StopRequest() as stop, pytest.raises(EndNow):
        os.kill(os.getpid(), number)  # no trial runs
