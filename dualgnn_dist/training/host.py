"""What a worker is given by whatever started it: its place, and how it is heard."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from dualgnn_dist.base.world import World
from dualgnn_dist.training.listeners.telemetry import Listener

Report = Callable[[Mapping[str, Any], Path], None]
Wrap = Callable[[nn.Module], nn.Module]


def ddp(model: nn.Module) -> nn.Module:
    """The default wrapper of the dense weights for a process group without Ray."""
    return DistributedDataParallel(model) if torch.distributed.is_initialized() else model


def silent(metrics: Mapping[str, Any], folder: Path) -> None:
    """Reports to nobody."""


@dataclass(frozen=True)
class Host:
    """Made once where workers come from, and passed on as one argument.

    Args:
        world: who this worker is.
        report: called by every rank after each checkpoint, with the metrics and the checkpoint's folder.
        wrap: puts the dense weights under data parallelism.
        listeners: take what this worker measures of itself, beside rank 0's run folder.
    """

    world: World = field(default_factory=World)
    report: Report = silent
    wrap: Wrap = ddp
    listeners: Sequence[Listener] = ()
