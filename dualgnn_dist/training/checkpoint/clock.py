"""When a checkpoint is due by time, so seldom that it costs next to nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

MAX_SHARE = 0.03  # of the time that checkpoints by time may take


class SaveClock:
    """Asked by rank 0 alone: the workers' clocks differ.

    Args:
        minutes: between two checkpoints at the least; more where one takes long. None: none is ever due.
    """

    def __init__(self, minutes: float | None) -> None:
        self._seconds = None if minutes is None else 60 * minutes
        self._last, self._cost = time.perf_counter(), 0.0

    def is_due(self) -> bool:
        """Whether so much time has passed since the last one, or since the beginning."""
        return self._seconds is not None and time.perf_counter() - self._last >= max(
            self._seconds, self._cost / MAX_SHARE
        )

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Around the writing of a checkpoint, whatever it is written for."""
        started = time.perf_counter()
        yield
        self._last = time.perf_counter()
        self._cost = self._last - started
