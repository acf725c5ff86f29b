"""What processes of Ray print: their lines on the screen, their standard error in a file.

Ray copies both to the screen: a worker that dies would fill it with the tracebacks of all that noticed. What a person
should know is said in lines of our own; the rest is kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray._private.worker
from ray._private.ray_logging import global_worker_stdstream_dispatcher as dispatcher

from dualgnn_dist.base.screen import say

FILE = Path("ray") / "standard_error.txt"
_HANDLER = "ray_print_logs"  # Ray's own name for what prints
_MOST_BYTES = 16 << 20  # of the file: what repeats itself for days must not fill the disk
_LEADER = "TrainController"  # what it prints are our lines about the whole run


@contextmanager
def shown(folder: Path) -> Iterator[None]:
    """Takes over what Ray prints; standard error goes into `folder`. Where Ray was told to print nothing, nothing."""
    handlers = [handle for name, handle in dispatcher.handlers if name == _HANDLER]
    screen = _Screen(folder / FILE, handlers[0] if handlers else lambda batch: None)
    prints = ray._private.worker.print_to_stdstream
    dispatcher.remove_handler(_HANDLER)
    if handlers:
        dispatcher.add_handler(_HANDLER, screen)
    ray._private.worker.print_to_stdstream = screen  # what a raylet reports comes this way
    try:
        yield
    finally:
        ray._private.worker.print_to_stdstream = prints
        dispatcher.remove_handler(_HANDLER)


class _Screen:
    """Takes Ray's batches of lines of one process each."""

    def __init__(self, file: Path, show: Callable[[Mapping[str, Any]], None]) -> None:
        self._file, self._show = file, show

    def __call__(self, batch: Mapping[str, Any], ignore_prefix: bool = False) -> None:
        if batch["is_err"] or batch.get("pid") == "raylet":
            self._keep(batch)
        elif batch.get("actor_name") == _LEADER:
            for line in batch["lines"]:
                say(line)
        else:
            self._show(batch)

    def _keep(self, batch: Mapping[str, Any]) -> None:
        who = f"{batch.get('actor_name') or batch.get('task_name') or ''} pid={batch.get('pid')} ip={batch.get('ip')}"
        with contextlib.suppress(OSError):  # a full disk is no reason to end
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a") as file:
                if file.tell() < _MOST_BYTES:
                    file.writelines(f"({who.strip()}) {line}\n" for line in batch["lines"])
