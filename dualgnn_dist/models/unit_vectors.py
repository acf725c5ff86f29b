"""Rows at length 1: five passes over a large layer forward and nine backward as torch would do it, here one of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dualgnn_dist.base.kernels import kernel_fast
from dualgnn_dist.base.process import in_threads

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
        ctx.shape = len(parts[0]), len(parts), parts[0].shape[1]
        units, norms = _forward_in_kernels(parts) if _has_kernels(*parts) else _forward(parts)
        if present is not None:
            missing = ~present
            norms.masked_fill_(missing, torch.inf)
            units.view(ctx.shape)[missing] = 0.0
        ctx.save_for_backward(units, norms)
        return units

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """`(g - x (x . g)) / norm`: what points along x changes its length only, which is not seen."""
        units, norms = ctx.saved_tensors
        gradient = gradient.contiguous()
        change = _backward_in_kernels if _has_kernels(units, gradient) else _backward
        return None, *change(units, norms, gradient).chunk(ctx.shape[1], dim=1)


def _has_kernels(*tensors: Tensor) -> bool:
    return all(t.device.type == "cpu" and t.dtype == torch.float32 and t.stride(1) == 1 for t in tensors)


def _forward(parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    units = torch.cat(tuple(parts), dim=1)
    by_part = units.view(len(units), len(parts), parts[0].shape[1])
    norms = torch.linalg.vector_norm(by_part, dim=2).clamp_(min=_EPSILON)
    by_part.div_(norms.unsqueeze(2))
    return units, norms


def _backward(units: Tensor, norms: Tensor, gradient: Tensor) -> Tensor:
    shape = *norms.shape, units.shape[1] // norms.shape[1]
    x, g = units.view(shape), gradient.view(shape)
    along = torch.linalg.vecdot(x, g).masked_fill_(norms <= _EPSILON, 0.0)  # divided by a constant there
    return torch.addcmul(g, x, along.unsqueeze(2), value=-1).div_(norms.unsqueeze(2)).view_as(units)


def _forward_in_kernels(parts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    num_rows, width = parts[0].shape
    units, norms = parts[0].new_empty(num_rows, len(parts) * width), parts[0].new_empty(num_rows, len(parts))
    for k, part in enumerate(parts):
        strided = _flat(part), part.stride(0)
        in_threads(_normalize, num_rows, torch.get_num_threads(), *strided, units.numpy(), norms.numpy(), k, width)
    return units, norms


def _backward_in_kernels(units: Tensor, norms: Tensor, gradient: Tensor) -> Tensor:
    change = torch.empty_like(units)
    arrays = (tensor.numpy() for tensor in (units, norms, gradient, change))
    in_threads(_turn, len(units), torch.get_num_threads(), *arrays)
    return change


def _flat(rows: Tensor) -> np.ndarray:
    """The memory from the first to the last number of some columns of a matrix: a kernel counts the strides itself."""
    size = (len(rows) - 1) * rows.stride(0) + rows.shape[1] if len(rows) else 0
    return rows.detach().as_strided((size,), (1,)).numpy()


@kernel_fast
def _normalize(
    part: np.ndarray,
    stride: int,
    units: np.ndarray,
    norms: np.ndarray,
    k: int,
    width: int,
    start: int,
    stop: int,
) -> None:
    for row in range(start, stop):
        source, target = part[row * stride : row * stride + width], units[row, k * width : (k + 1) * width]
        square = np.float32(0)
        for column in range(width):
            square += source[column] * source[column]
        norm = max(np.sqrt(square), np.float32(_EPSILON))
        norms[row, k] = norm
        for column in range(width):
            target[column] = source[column] / norm


@kernel_fast
def _turn(
    units: np.ndarray, norms: np.ndarray, gradient: np.ndarray, change: np.ndarray, start: int, stop: int
) -> None:
    width = units.shape[1] // norms.shape[1]
    for row in range(start, stop):
        for k in range(norms.shape[1]):
            columns = slice(k * width, (k + 1) * width)
            x, g, target = units[row, columns], gradient[row, columns], change[row, columns]
            along = np.float32(0)
            for column in range(width):
                along += x[column] * g[column]
            norm = norms[row, k]
            if norm <= np.float32(_EPSILON):  # divided by a constant there
                along = np.float32(0)
            for column in range(width):
                target[column] = (g[column] - x[column] * along) / norm
