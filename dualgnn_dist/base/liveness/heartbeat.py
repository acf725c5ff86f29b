"""The sign of life of this process: what it does, at which step it stands, and that it moves on.

Whoever works beats; whoever watches asks for a `Pulse` now and then. No clock travels between processes: a watcher
counts its own seconds for as long as the beats stay the same.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

SLOW = 6  # times the patience with a step: for what happens once, or reads and writes whole files
_LONGEST_LOOK = 5.0  # seconds between two looks that count: a watcher that was stopped itself has seen nothing


@dataclass(frozen=True)
class Pulse:
    """What a process says of itself.

    Args:
        beats: so far.
        doing: in words.
        epoch, step: steps done in the epoch; -1 before the first one.
        is_waiting: for other workers, in a collective: not the one to blame.
        is_slow: what it does may take `SLOW` times as long as a step.
    """

    beats: int = 0
    doing: str = "starting"
    epoch: int = 0
    step: int = -1
    is_waiting: bool = False
    is_slow: bool = True

    @property
    def described(self) -> str:
        """Such as `training, epoch 3, step 17`."""
        return self.doing if self.step < 0 else f"{self.doing}, epoch {self.epoch + 1}, step {self.step}"


class _Heart:
    """Written by the thread that works, read by others; a lost beat of two threads at once does no harm."""

    def __init__(self) -> None:
        self.beats, self.doing, self.epoch, self.step = 0, "starting", 0, -1
        self.waiting, self.is_slow = 0, True


_heart = _Heart()


def beat() -> None:
    """This process moves on."""
    _heart.beats += 1


def phase(doing: str) -> None:
    """Something other than steps begins; it may take `SLOW` times as long."""
    _heart.doing, _heart.is_slow = doing, True
    beat()


def stepped(epoch: int, step: int) -> None:
    """A step of training is done, the `step`-th of `epoch`, counted from 1 and 0."""
    _heart.doing, _heart.epoch, _heart.step, _heart.is_slow = "training", epoch, step, False
    beat()


@contextmanager
def waiting() -> Iterator[None]:
    """In a collective, where it takes the others."""
    _heart.waiting += 1
    try:
        yield
    finally:
        _heart.waiting -= 1
        beat()


def also_slow(doing: str, is_doing: Callable[[], bool]) -> None:
    """From now on `is_doing` is asked too: while it holds, this process does `doing`, which is slow."""
    _also_slow[doing] = is_doing


_also_slow: dict[str, Callable[[], bool]] = {}


def start() -> None:
    """A new run begins in this process."""
    beats = _heart.beats + 1
    _heart.__init__()  # type: ignore[misc]
    _heart.beats = beats


def pulse() -> Pulse:
    """What this process says of itself."""
    slow = next((doing for doing, is_doing in _also_slow.items() if is_doing()), None)
    doing, is_slow = slow or _heart.doing, slow is not None or _heart.is_slow
    return Pulse(_heart.beats, doing, _heart.epoch, _heart.step, _heart.waiting > 0, is_slow)


class Silence:
    """For how long one process has not moved, as a watcher sees it that looks again and again.

    Attributes:
        last: the last pulse; None before the first.
        seconds: since it changed, and the watcher looked.
        is_answering: whether the last look brought a pulse at all.
    """

    def __init__(self) -> None:
        self.last: Pulse | None = None
        self.seconds, self.is_answering = 0.0, True
        self._looked = time.monotonic()

    def look(self, now: Pulse | None) -> None:
        """Takes in a pulse; None: no answer."""
        seen, before = time.monotonic(), self._looked
        self._looked, self.is_answering = seen, now is not None
        if now is not None and (self.last is None or now.beats != self.last.beats):
            self.seconds = 0.0
        else:
            self.seconds += min(seen - before, _LONGEST_LOOK)
        self.last = now or self.last

    def is_too_long(self, timeout: float) -> bool:
        """Whether it is longer than `timeout` seconds for a step, or `SLOW` times that for what is slow."""
        return self.seconds > timeout * (SLOW if self.last is None or self.last.is_slow else 1)


def stacks() -> str:
    """Where every thread of this process stands."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"thread {names.get(ident, ident)}:\n{''.join(traceback.format_stack(frame))}"
        for ident, frame in sys._current_frames().items()
    )
