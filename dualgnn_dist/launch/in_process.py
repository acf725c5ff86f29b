"""One worker, this process, no Ray: for debugging, with every breakpoint where it was set."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.liveness import heartbeat
from dualgnn_dist.base.liveness.signals import kill_descendants
from dualgnn_dist.base.screen import duration, say_aside
from dualgnn_dist.base.world import World
from dualgnn_dist.launch import failures
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.stop import on_signals


def host(config: RunConfig) -> Host:
    """This process as the only worker.

    Raises:
        UserError: it is to use a GPU and there is none.
    """
    if config.resources.use_gpu and not torch.cuda.is_available():
        raise UserError("resources.use_gpu=true, and torch finds no GPU here; leave it out to train on CPUs")
    device = torch.device("cuda" if config.resources.use_gpu else "cpu")
    return Host(World(device=device, num_threads=config.resources.cpus_per_worker))


def run_on_workers(
    config: RunConfig, function: Callable[[RunConfig, Host, Any], Any], argument: Any, stops: Path | None
) -> Any:
    """See `workers.run_on_workers`."""
    heartbeat.start()
    asked = nullcontext() if stops is None else on_signals(stops, where=lambda: heartbeat.pulse().described)
    with asked, _watched(config):
        return function(config, host(config), argument)


@contextmanager
def _watched(config: RunConfig) -> Iterator[None]:
    """Ends this process with exit code 1 when it hangs: nothing can make another thread of it go on."""
    if config.resources.hang_timeout is None:
        yield
        return
    is_over = threading.Event()
    arguments = (config.run.folder, config.resources.hang_timeout, is_over)
    thread = threading.Thread(target=_watch, args=arguments, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _watch(folder: Path, timeout: float, is_over: threading.Event) -> None:
    silence = heartbeat.Silence()
    while not is_over.wait(min(1.0, timeout / 4)):
        silence.look(heartbeat.pulse())
        if silence.is_too_long(timeout) and not is_debugged():
            _end(folder, silence)


def _end(folder: Path, silence: heartbeat.Silence) -> None:
    doing = silence.last.described if silence.last else "starting"
    sentence = (
        f"no sign of life for {duration(silence.seconds)} ({doing}): the run hangs and is ended "
        "(resources.hang_timeout); --resume goes on from its last checkpoint"
    )
    say_aside(f"error: {failures.write(folder, sentence, heartbeat.stacks())}")
    kill_descendants()
    os._exit(1)


def is_debugged() -> bool:
    """Whether somebody stands at a breakpoint: the stack of a thread goes through a debugger."""
    for frame in sys._current_frames().values():
        at = frame
        while at is not None:
            if Path(at.f_code.co_filename).name in ("pdb.py", "bdb.py") or "pydevd" in at.f_code.co_filename:
                return True
            at = at.f_back  # type: ignore[assignment]
    return False
