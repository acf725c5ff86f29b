"""A run that is asked to stop: all workers agree on the step after which they write a checkpoint and end.

Who asks writes into the file `stop` in the run's folder; rank 0 reads it. The answer travels with a tiny all-reduce, as
a rank that stopped alone would leave the others waiting in their next collective. With it travel whether a checkpoint
is due by the clock of rank 0, and whether any worker has left the finite numbers.
"""

from __future__ import annotations

import enum
import functools
import operator
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from dualgnn_dist.base.errors import Stopped
from dualgnn_dist.base.liveness.signals import end_now, heard
from dualgnn_dist.base.world import World

STOP = "stop"
SECONDS_BETWEEN_MEETINGS = 0.5
SECONDS_TO_ANSWER = 30.0
_NOBODY_WORKS = "no worker was at work; start again, with --resume if the run had a checkpoint"
_ASKED = b"asked to stop: a checkpoint after this step; ask again to end at once, without one\n"


@contextmanager
def on_signals(
    folder: Path, has_begun: Callable[[], bool] = lambda: True, where: Callable[[], str] = lambda: ""
) -> Iterator[None]:
    """SIGTERM and Ctrl-C ask the run of `folder` to stop; a second one ends this process and all it started at once.

    Both are heard whatever the main thread does. Outside the main thread, where Python allows no handlers, it does
    nothing.

    Args:
        has_begun: whether there is a worker that could write a checkpoint; where there is none, the first one ends.
        where: what the run does, for the line that says that nobody has answered.

    Raises:
        Stopped: as the run raised it, with the exit code of the signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    request = folder / STOP
    # There from the start, and empty: a network file system asks the server about a file it opens, but may for half
    # a minute go on to believe that a file is not there.
    request.write_text("")
    received: list[int] = []
    is_over, nobody_works = threading.Event(), threading.Event()

    def ask(number: int, count: int) -> None:
        if count > 1:
            end_now(number)
        threading.Thread(target=_complain, args=(is_over, where), name="no answer", daemon=True).start()
        # Not `say`: the signal may have come in the middle of a line.
        os.write(2, _ASKED)
        request.write_text(signal.Signals(number).name)

    def in_main_thread(number: int, frame: FrameType | None) -> None:
        is_first = not received
        received.append(number)
        if is_first and not has_begun():
            nobody_works.set()
            raise KeyboardInterrupt  # the one exception that wakes a main thread that waits for Ray

    previous: dict[int, Any] = {n: signal.signal(n, in_main_thread) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        with heard(ask):
            yield
    except (Stopped, KeyboardInterrupt) as ended:
        if isinstance(ended, KeyboardInterrupt) and not nobody_works.is_set():
            raise
        stopped = Stopped(_NOBODY_WORKS) if isinstance(ended, KeyboardInterrupt) else ended
        stopped.exit_code = 128 + received[0] if received else stopped.exit_code
        raise stopped from None
    finally:
        is_over.set()
        for number, handler in previous.items():
            signal.signal(number, handler)
        request.unlink(missing_ok=True)


def _complain(is_over: threading.Event, where: Callable[[], str]) -> None:
    if is_over.wait(SECONDS_TO_ANSWER):
        return
    standing = f" ({where()})" if where() else ""
    line = f"not stopped after {SECONDS_TO_ANSWER:g} s: no step has ended since{standing}; ask again to end at once\n"
    os.write(2, line.encode())


def is_asked(folder: Path) -> bool:
    """Whether somebody asks the run of `folder` to stop."""
    try:
        return bool((folder / STOP).read_bytes())
    except FileNotFoundError:
        return False


class Wanted(enum.Flag):
    """What the workers agreed on; false where that is nothing."""

    STOP = enum.auto()
    SAVE = enum.auto()
    BREAK_OFF = enum.auto()


NOTHING = Wanted(0)


class StopMeetings:
    """The workers' meetings about stopping, about half a second apart whatever a step takes.

    Rank 0 alone has a clock and reads the file: at each meeting it says whether to stop, whether to save, and after how
    many steps all meet again.

    Args:
        is_due: whether a checkpoint is; rank 0's alone is asked.
        is_broken: whether this worker cannot go on: bool [] on the device, which is not waited for.
    """

    def __init__(
        self,
        folder: Path,
        world: World,
        is_due: Callable[[], bool] = lambda: False,
        is_broken: Callable[[], Tensor | bool] = lambda: False,
    ) -> None:
        self._folder, self._world, self._is_due, self._is_broken = folder, world, is_due, is_broken
        self._steps_between = self._steps_left = 1
        self._last = time.perf_counter()

    def after_step(self) -> Wanted:
        """What to do here. Every worker calls it after every step, and all get the same answer."""
        self._steps_left -= 1
        return self.meet() if self._steps_left == 0 else NOTHING

    def meet(self) -> Wanted:
        """The same answer at once; collective over the workers."""
        said = torch.zeros(4, dtype=torch.int64, device=self._world.device)
        if self._world.is_main:
            said[:3] = torch.tensor([is_asked(self._folder), self._is_due(), self._next_meeting()])
        said[3] = self._is_broken()
        is_asked_to_stop, is_due, self._steps_between, num_broken = self._world.sum(said).tolist()
        self._steps_left = self._steps_between
        answers = {Wanted.STOP: is_asked_to_stop, Wanted.SAVE: is_due, Wanted.BREAK_OFF: num_broken}
        return functools.reduce(operator.or_, (wanted for wanted, number in answers.items() if number), NOTHING)

    def _next_meeting(self) -> int:
        """Steps until then. What a step takes is known from steps alone: before the first one nothing is."""
        now, steps = time.perf_counter(), self._steps_between - self._steps_left
        seconds, self._last = now - self._last, now
        if steps == 0:
            return 1
        return max(1, min(int(SECONDS_BETWEEN_MEETINGS * steps / max(seconds, 1e-6)), 1000))
