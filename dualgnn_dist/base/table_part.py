"""What a model declares about its embedding tables: parts of a row, side by side, and how their first values are drawn.

Models say which parts they read; tables make and keep them. Both know only this file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

Initial = Callable[[int, int, int, torch.Generator], torch.Tensor]
"""`initial(block_rows, num_rows, width, generator)` draws float32 [block_rows, width], one block of a table that has
`num_rows` rows in all (Xavier's scale needs the whole table's shape)."""


@dataclass(frozen=True)
class TablePart:
    """`width` adjacent columns of every row of a table, and how they start."""

    width: int
    initial: Initial

    def __post_init__(self) -> None:
        assert self.width > 0, "a part needs at least one column"


def xavier_normal(block_rows: int, num_rows: int, width: int, generator: torch.Generator) -> torch.Tensor:
    """Normal draws of variance 2 / (num_rows + width)."""
    return torch.randn(block_rows, width, generator=generator).mul_(math.sqrt(2 / (num_rows + width)))


def xavier_uniform(block_rows: int, num_rows: int, width: int, generator: torch.Generator) -> torch.Tensor:
    """Uniform draws within +-sqrt(6 / (num_rows + width))."""
    bound = math.sqrt(6 / (num_rows + width))
    return torch.empty(block_rows, width).uniform_(-bound, bound, generator=generator)


@dataclass(frozen=True)
class Normal:
    """Normal draws of a fixed standard deviation, whatever the table's size."""

    std: float

    def __call__(self, block_rows: int, num_rows: int, width: int, generator: torch.Generator) -> torch.Tensor:
        """See `Initial`."""
        return torch.randn(block_rows, width, generator=generator).mul_(self.std)


def softmax_of_xavier_normal(block_rows: int, num_rows: int, width: int, generator: torch.Generator) -> torch.Tensor:
    """Positive weights that sum to 1 in every row: the softmax over the columns of Xavier normal draws."""
    return torch.softmax(xavier_normal(block_rows, num_rows, width, generator), dim=1)
