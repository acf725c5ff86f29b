"""A thread that says, once a minute, what is waited for and what the cluster has."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping

import ray

from dualgnn_dist.base.screen import duration, say

SECONDS_BETWEEN = 60.0


class Waiting:
    """`begin` and `end` as often as there is something to wait for. Needs a process that is connected to Ray.

    Args:
        seconds_between: two lines.
    """

    def __init__(self, seconds_between: float = SECONDS_BETWEEN) -> None:
        self._seconds_between = seconds_between
        self._is_over = threading.Event()
        self._is_over.set()

    def begin(self, what: str, needs: Mapping[str, float]) -> None:
        """From now on something is waited for that needs these resources; or something else than so far."""
        self._what, self._needs = what, needs
        if self._is_over.is_set():
            self._is_over = threading.Event()
            threading.Thread(target=self._say, args=(self._is_over,), name="waiting", daemon=True).start()

    def end(self) -> None:
        """It is there."""
        self._is_over.set()

    def _say(self, is_over: threading.Event) -> None:
        started = time.monotonic()
        while not is_over.wait(self._seconds_between):
            with contextlib.suppress(Exception):  # a cluster that does not answer is for others to say
                nodes = sum(node["Alive"] for node in ray.nodes())
                line = waiting_line(self._what, self._needs, ray.available_resources(), ray.cluster_resources(), nodes)
                say(f"{line}, for {duration(time.monotonic() - started)} so far")


def waiting_line(
    what: str, needs: Mapping[str, float], free: Mapping[str, float], there: Mapping[str, float], num_nodes: int
) -> str:
    """What is waited for, and why it is not there."""
    kinds = [kind for kind, number in needs.items() if number > 0]
    shown = ", ".join(f"{free.get(kind, 0):g} of {there.get(kind, 0):g} {kind}s" for kind in kinds)
    wanted = ", ".join(f"{needs[kind]:g} {kind}s" for kind in kinds)
    nodes = "1 node" if num_nodes == 1 else f"{num_nodes} nodes"
    if any(there.get(kind, 0) < needs[kind] for kind in kinds):
        why = "the cluster is too small until nodes join it, or resources.num_workers asks for fewer"
    elif any(free.get(kind, 0) < needs[kind] for kind in kinds):
        why = "others use it"
    else:
        why = "they are being started"
    return f"waiting for {what} ({wanted}); free are {shown} on {nodes}: {why}"
