"""A sweep none of whose trials runs says what it waits for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import ray

from dualgnn_dist.base.screen import say

_SECONDS = 60.0  # of waiting before it is said, and said again


class Waiting:
    """Looks several times a second whether any trial runs."""

    def __init__(self) -> None:
        self._since = self._said = time.monotonic()

    def look(self, trials: Sequence[Any]) -> None:
        """Says once a minute that trials wait for room, and what is free."""
        now, waiting = time.monotonic(), [trial for trial in trials if trial.status == "PENDING"]
        if not waiting or any(trial.status == "RUNNING" for trial in trials):
            self._since = self._said = now
        elif now - self._said >= _SECONDS:
            self._said = now
            say(f"no trial has begun for {now - self._since:.0f} s: {_needs(waiting[0])}; {_free()}")


def _needs(trial: Any) -> str:
    bundle = trial.placement_group_factory.required_resources
    return "each waits for " + (", ".join(f"{amount:g} {kind}" for kind, amount in bundle.items()) or "a process")


def _free() -> str:
    free, there = ray.available_resources(), ray.cluster_resources()
    return "free are " + ", ".join(
        f"{free.get(kind, 0):g} of {there.get(kind, 0):g} {kind}s" for kind in ("CPU", "GPU")
    )
