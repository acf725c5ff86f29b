"""Lines on the screen: seconds apart, with an honest estimate of the time left."""

from __future__ import annotations

import time

import pytest

from dualgnn_dist.progress import StepProgress, duration, nothing, say


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (12.4, "12 s"),
        (59.4, "59 s"),
        (59.6, "1:00"),
        (185, "3:05"),
        (3599.6, "1:00:00"),
        (7385, "2:03:05"),
        (90_000, "25:00:00"),
    ],
)
def test_duration(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_saying_reaches_the_screen_at_once_and_nothing_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    say("one")
    nothing("two")
    assert capsys.readouterr().out == "one\n"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def test_lines_come_seconds_apart_and_the_loss_is_asked_for_no_sooner(clock: list[float]) -> None:
    said: list[str] = []
    asked: list[int] = []
    progress = StepProgress(said.append, total_steps=40, done_steps=0)
    for step in range(1, 21):
        clock[0] += 1
        progress.step(f"step {step}", step, lambda s=step: asked.append(s) or 0.5, 1234.5, 0.25)  # type: ignore[misc]
    assert asked == [5, 10, 15, 20]
    assert [line.partition("  ")[0] for line in said] == ["step 5", "step 10", "step 15", "step 20"]
    assert said[1] == ("step 10  loss 0.5000  1,234 interactions/s  waiting for batches 25%  at most 30 s left")


def test_time_left_counts_the_steps_of_this_start_alone(clock: list[float]) -> None:
    said: list[str] = []
    progress = StepProgress(said.append, total_steps=1000, done_steps=900)  # a resumed run
    clock[0] += 10
    progress.step("", 910, lambda: 0.0, 0.0, 0.0)  # 10 steps in 10 s, 90 more
    assert said[0].endswith("at most 1:30 left")


def test_before_the_first_step_is_done_there_is_a_line_all_the_same(clock: list[float]) -> None:
    said: list[str] = []
    progress = StepProgress(said.append, total_steps=10, done_steps=3)
    clock[0] += 6
    progress.step("", 3, lambda: 0.0, 0.0, 0.0)
    assert len(said) == 1
