"""What Adam keeps of every row."""

from __future__ import annotations

from typing import NamedTuple

import torch


class RowState(NamedTuple):
    """The rows one worker owns. All tensors lie on one device."""

    values: torch.Tensor  # float32 [rows, width]
    first_moment: torch.Tensor  # float32 [rows, width]
    second_moment: torch.Tensor  # float32 [rows, width]
    last_step: torch.Tensor  # int32 [rows]: the step each row stands at; 0 = never touched

    @property
    def has_kernels(self) -> bool:
        """Whether the Numba kernels can work on these rows."""
        return self.values.device.type == "cpu" and self.values.dtype == torch.float32
