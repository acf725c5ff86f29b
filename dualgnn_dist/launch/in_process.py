"""One worker, this process, no Ray: for debugging, with every breakpoint where it was set."""

from __future__ import annotations

import torch

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.world import World
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.stop import on_signals
from dualgnn_dist.training.worker import run_worker


def here(config: RunConfig) -> World:
    """This process as the only worker.

    Raises:
        UserError: it is to use a GPU and there is none.
    """
    if config.resources.use_gpu and not torch.cuda.is_available():
        raise UserError("resources.use_gpu=true, and torch finds no GPU here; leave it out to train on CPUs")
    device = torch.device("cuda" if config.resources.use_gpu else "cpu")
    return World(device=device, num_threads=config.resources.cpus_per_worker)


def launch(config: RunConfig, resume: bool) -> None:
    """Runs the job here."""
    with on_signals(config.run.folder):
        run_worker(config, here(config), resume)
