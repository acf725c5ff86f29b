"""What autograd would do in many passes over a large layer, done in few: a training step spends its time on memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_EPSILON = 1e-12  # the shortest norm that is divided by, as in torch.nn.functional.normalize


def unit_vectors(parts: Sequence[Tensor], present: Tensor | None = None) -> Tensor:
    """M parts side by side, each row of each at length 1: `cat([normalize(part) for part in parts])`.

    Args:
        parts: M tensors [n, d]; float32 where that is half precision.
        present: bool [n, M]; the others become zeros, whatever they were. None: all are.

    Returns:
        [n, M d].
    """
    widened = [part.float() if part.dtype in (torch.bfloat16, torch.float16) else part for part in parts]
    return _UnitVectors.apply(present, *widened)


class _UnitVectors(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, present: Tensor | None, *parts: Tensor) -> Tensor:
        units = torch.cat(parts, dim=1)
        ctx.shape = len(units), len(parts), parts[0].shape[1]
        by_part = units.view(ctx.shape)
        norms = torch.linalg.vector_norm(by_part, dim=2, keepdim=True).clamp_(min=_EPSILON)
        if present is not None:
            norms.masked_fill_(~present.unsqueeze(2), torch.inf)
        by_part.div_(norms)
        ctx.save_for_backward(units, norms)
        return units

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """`(g - x (x . g)) / norm`: what points along x changes its length only, which is not seen."""
        units, norms = ctx.saved_tensors
        x, g = units.view(ctx.shape), gradient.contiguous().view(ctx.shape)
        along = torch.linalg.vecdot(x, g).unsqueeze(2)
        along.masked_fill_(norms <= _EPSILON, 0.0)  # divided by a constant there
        inner = torch.addcmul(g, x, along, value=-1).div_(norms)
        return None, *inner.view_as(units).chunk(ctx.shape[1], dim=1)


def with_first(x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """`x` and `x[:count]`, for those who read all rows and those who read the first.

    The gradient of a slice would be a tensor as large as x, zeros but for a few rows; here it is added to the other.
    """
    return _WithFirst.apply(x, count) if 0 < count < len(x) else (x, x[:count])


class _WithFirst(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, count: int) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.shape, ctx.count = x.shape, count
        return x.view_as(x), x[:count]

    @staticmethod
    def backward(ctx: Any, whole: Tensor | None, first: Tensor | None) -> tuple[Tensor | None, None]:
        if first is None:
            return whole, None
        total = first.new_zeros(ctx.shape) if whole is None else whole.clone()
        total[: ctx.count] += first
        return total, None
