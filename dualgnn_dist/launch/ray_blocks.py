"""Blocks of work as tasks of a Ray cluster: a `BlockMap` with the same results as threads of this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayTaskError

from dualgnn_dist.data.prepare.cooccurrence.blocks import in_order
from dualgnn_dist.launch.ray_temporary import refuse_long_folder


class RayMap:
    """A `BlockMap` on the cluster that this process is connected to, one CPU a task.

    What the blocks share goes into the object store once. Each node fetches it once, and its tasks read the arrays
    there, without a copy of their own; so no file system has to be shared. The tasks of a node that is lost run again
    elsewhere.

    Args:
        in_flight: blocks begun and not yet yielded, so that as many results are held at most; None: twice the CPUs of
            the cluster as it is when the map starts.
    """

    def __init__(self, in_flight: int | None = None) -> None:
        assert ray.is_initialized(), "connect first: `with ray_map() as block_map`"
        self._in_flight = in_flight

    def __call__(self, function: Callable[..., Any], shared: Any, blocks: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """See `BlockMap`."""
        in_flight = self._in_flight or max(2, 2 * int(ray.cluster_resources().get("CPU", 1)))
        there = ray.put(shared)

        def submit(block: tuple[Any, ...]) -> ray.ObjectRef:
            return _run.remote(function, there, block)

        yield from in_order(submit, _collect, ray.cancel, blocks, in_flight)


@contextmanager
def ray_map(in_flight: int | None = None) -> Iterator[RayMap]:
    """Connects to the cluster of `RAY_ADDRESS` (as `ray job submit` sets it), or starts a local one.

    What was not connected before is disconnected at the end; a local cluster ends with that.
    """
    was_running = ray.is_initialized()
    os.environ.setdefault("RAY_COLOR_PREFIX", "0")  # no colour codes in logs that are files
    if not was_running:
        refuse_long_folder()
    ray.init(ignore_reinit_error=True, logging_level="error")
    try:
        yield RayMap(in_flight)
    finally:
        if not was_running:
            ray.shutdown()


@ray.remote(num_cpus=1)
def _run(function: Callable[..., Any], shared: Any, block: tuple[Any, ...]) -> Any:
    return function(shared, *block)


def _collect(task: ray.ObjectRef) -> Any:
    """A task's result, or what it raised, as it was raised: without the trace of the process that it was raised in."""
    try:
        return ray.get(task)
    except RayTaskError as error:
        cause = error.cause
    raise cause
