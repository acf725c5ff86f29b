"""One worker, this process, no Ray: for debugging, with every breakpoint where it was set."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.world import World
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
    with nullcontext() if stops is None else on_signals(stops):
        return function(config, host(config), argument)
