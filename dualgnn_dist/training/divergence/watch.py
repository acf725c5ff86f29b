"""Whether every step was finite: one number a step, kept on the device, looked at where workers meet anyway."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

_STEPS = 1024  # workers meet more often


class Watch:
    """Adds the loss and the norm of all gradients: not finite if one number of them is not.

    What is not finite in the weights came with a gradient, or comes with the next loss, so nothing else is looked at.
    No step waits for the device: `is_broken` gives a tensor that lies there.
    """

    def __init__(self, device: torch.device) -> None:
        self._seen = torch.zeros(_STEPS, device=device)
        self._count = 0

    def saw(self, loss: Tensor, gradients: Iterable[Tensor | None]) -> None:
        """A step is done.

        Args:
            loss: [] of this worker.
            gradients: of all that it updates; None where there is none.
        """
        norm = get_total_norm([gradient for gradient in gradients if gradient is not None])
        self._seen[self._count % _STEPS] = loss.detach() + norm
        self._count += 1

    def is_broken(self) -> Tensor:
        """bool [] on the device: whether any of the steps since the last `look` was not finite."""
        return ~self._seen[: self._count].isfinite().all()

    def look(self) -> int | None:
        """How many steps ago the first one was that was not finite, 1 for the last; None for none. Waits.

        What was seen is forgotten.
        """
        broken = (~self._seen[: self._count].isfinite()).nonzero()
        first = self._count - int(broken[0]) if len(broken) else None
        self._count = 0
        return first
