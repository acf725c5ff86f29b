"""Whether a process moves on, as seen by one that watches it."""

from __future__ import annotations

import pytest

from dualgnn_dist.base.liveness import heartbeat
from dualgnn_dist.base.liveness.heartbeat import SLOW, Pulse, Silence


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(heartbeat.time, "monotonic", lambda: self.now)

    def look(self, silence: Silence, pulse: Pulse | None, seconds: int) -> None:
        """Looks once a second."""
        for _ in range(seconds):
            self.now += 1
            silence.look(pulse)


def test_a_step_that_does_not_end_is_too_long_and_what_is_slow_gets_more(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    for is_slow, patience in ((False, 1), (True, SLOW)):
        silence, pulse = Silence(), Pulse(7, "training", 2, 17, is_slow=is_slow)
        clock.look(silence, pulse, 10 * patience)
        assert not silence.is_too_long(10)
        clock.look(silence, pulse, 2)
        assert silence.is_too_long(10)
        clock.look(silence, Pulse(8, "training", 2, 18), 1)
        assert silence.seconds == 0 and not silence.is_too_long(10)


def test_no_answer_is_no_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, silence = Clock(monkeypatch), Silence()
    clock.look(silence, Pulse(7, "training", 2, 17, is_slow=False), 1)
    clock.look(silence, None, 11)
    assert silence.is_too_long(10) and not silence.is_answering
    assert silence.last is not None and silence.last.described == "training, epoch 3, step 17"


def test_a_watcher_that_slept_does_not_blame_who_it_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine or a job that was suspended as a whole wakes with an old pulse."""
    clock, silence = Clock(monkeypatch), Silence()
    pulse = Pulse(7, "training", 2, 17, is_slow=False)
    clock.look(silence, pulse, 1)
    clock.now += 3600
    silence.look(pulse)
    assert not silence.is_too_long(10)


def test_who_waits_for_others_says_so_and_a_collective_that_ends_is_a_sign_of_life() -> None:
    heartbeat.start()
    heartbeat.stepped(0, 5)
    before = heartbeat.pulse()
    with heartbeat.waiting():
        assert heartbeat.pulse().is_waiting
    after = heartbeat.pulse()
    assert not after.is_waiting and after.beats > before.beats
    heartbeat.phase("writing a checkpoint")
    assert heartbeat.pulse().is_slow and heartbeat.pulse().described == "writing a checkpoint, epoch 1, step 5"
    heartbeat.start()
    assert heartbeat.pulse().step == -1, "of the run before"
