"""A sweep that is asked to stop: its trials leave checkpoints first, a second request ends it at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SECONDS_OF_ONE = 0.5  # `timeout` and other wrappers pass one signal on twice: to the process, and to its group
_SECONDS_TO_END = 20.0  # for Ray to end its processes; then they are left to end with this one
_ASKED = b"asked to stop: the trials that run leave checkpoints; ask again to end at once\n"


class EndNow(BaseException):
    """Ends the sweep where it stands. No `Exception`, which Tune would take for a failure of a trial."""


class StopRequest:
    """SIGTERM and Ctrl-C while it is entered: taken note of while trials run, else, or again, `EndNow`.

    Outside the main thread, where Python allows no handlers, nothing is heard.

    Attributes:
        number: of the signal that came; None before.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._is_patient, self._first = False, float("-inf")
        self._previous: dict[int, Any] = {}
        self._last_resort: threading.Timer | None = None

    def is_asked(self) -> bool:
        """Whether no trial is to begin any more, and those that run are to stop."""
        return self.number is not None

    def listen(self) -> None:
        """Hears the signals from here on, also where `ray.init` has taken one for itself meanwhile."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                before = signal.signal(number, self._hear)
                self._previous.setdefault(number, before)

    def __enter__(self) -> StopRequest:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        if self._last_resort is not None:
            self._last_resort.cancel()
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextmanager
    def patiently(self) -> Iterator[None]:
        """The first signal within it is only taken note of."""
        self._is_patient = True
        try:
            yield
        finally:
            self._is_patient = False

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if time.monotonic() - self._first < _SECONDS_OF_ONE:
            return
        self._first, is_first, self.number = time.monotonic(), self.number is None, number
        if is_first and self._is_patient:
            os.write(2, _ASKED)  # not `say`: the signal may have come in the middle of a line
            return
        for heard in self._previous:  # what ends now is not to be interrupted in ending
            signal.signal(heard, _do_nothing)
        self._last_resort = threading.Timer(_SECONDS_TO_END, os._exit, [128 + number])
        self._last_resort.daemon = True
        self._last_resort.start()
        raise EndNow


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Not `SIG_IGN`: who listens beside the main thread still hears."""
