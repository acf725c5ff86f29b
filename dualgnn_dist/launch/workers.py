"""The one place that decides who works: this process, or workers of a Ray cluster.

Ray is imported when workers are asked for: a training in this process works where it is not installed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.cooccurrence.blocks import BlockMap
from dualgnn_dist.launch import in_process
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.host import Host

WorkerFunction = Callable[[RunConfig, Host, Any], Any]


def run_on_workers(
    config: RunConfig, function: WorkerFunction, argument: Any = None, *, stops: Path | None = None
) -> Any:
    """Runs `function(config, host, argument)` on every worker that the config asks for; returns what rank 0 returned.

    Args:
        stops: the folder of a run that SIGTERM and Ctrl-C ask to stop; None leaves them what they are.

    Raises:
        UserError: what a worker refused, a machine with too few CPUs or GPUs, or no Ray where it is needed.
        Stopped: somebody asked for it, and the workers left a checkpoint.
    """
    if config.resources.most == 0:
        return in_process.run_on_workers(config, function, argument, stops)
    _check_ray(
        f"resources.num_workers={config.resources.num_workers}", "resources.num_workers=0 trains in this process"
    )
    from dualgnn_dist.launch import ray_train

    return ray_train.run_on_workers(config, function, argument, stops)


def blocks_of(config: PrepareConfig | None) -> AbstractContextManager[BlockMap | None] | None:
    """Who counts co-occurrence as the settings want it, entered when there is something to count; None: threads."""
    if config is None or config.backend != "ray":
        return None
    _check_ray("prepare.backend=ray", "prepare.backend=threads counts in this process")
    from dualgnn_dist.launch import ray_blocks

    return ray_blocks.ray_map()


def _check_ray(setting: str, otherwise: str) -> None:
    if importlib.util.find_spec("ray") is None:
        raise UserError(f"{setting} needs the package ray, which is not installed here: pip install ray; {otherwise}")
