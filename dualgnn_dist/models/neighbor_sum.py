"""What the models are made of: sums over neighbours, item content to vectors."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import torch
from torch import Tensor

from dualgnn_dist.base.sparse import SparseRows


def neighbor_sum(rows: SparseRows, x: Tensor) -> Tensor:
    """`A x`: for each row of A the (weighted) sum of its sources' rows.

    Args:
        rows: A, [T, S].
        x: [S, D].

    Returns:
        [T, D], in x's dtype; float32 where that is half precision.
    """
    return neighbor_sum_and_first(rows, x)[0]


def neighbor_sum_and_first(rows: SparseRows, x: Tensor, *counts: int) -> tuple[Tensor, ...]:
    """`A x`, and `x[:count]` for each of `counts`.

    The gradient of a slice would be a tensor as large as x, zeros but for a few rows; here it is added to that of the
    sum, which is new memory anyway.
    """
    with torch.autocast(x.device.type, enabled=False):  # no sparse product in half precision on every device
        return _NeighborSum.apply(x.float() if x.dtype in (torch.bfloat16, torch.float16) else x, rows, counts)


def weighted(rows: SparseRows, source_weight: Tensor, target_weight: Tensor) -> SparseRows:
    """The same entries with the values `target_weight[t] * source_weight[s]`, [T] and [S], of which none is trained.

    Weighing the entries rather than the vectors saves two passes over layers that are much larger.
    """
    return dataclasses.replace(
        rows,
        values=_outer(rows.offsets, rows.sources, target_weight, source_weight),
        transposed_values=_outer(rows.transposed_offsets, rows.transposed_targets, source_weight, target_weight),
    )


def _outer(offsets: Tensor, columns: Tensor, row_weight: Tensor, column_weight: Tensor) -> Tensor:
    by_entry = row_weight.repeat_interleave(offsets.diff(), output_size=len(columns))
    return by_entry.mul_(column_weight[columns])


class _NeighborSum(torch.autograd.Function):
    """One sparse product forward, one with the transpose backward; nothing of size E x D is ever made."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: SparseRows, counts: tuple[int, ...]) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.rows, ctx.shape = rows, x.shape
        return _product(rows.offsets, rows.sources, rows.values, rows.shape, x), *(x[:count] for count in counts)

    @staticmethod
    def backward(ctx: Any, of_sum: Tensor | None, *of_first: Tensor | None) -> tuple[Tensor | None, None, None]:
        rows: SparseRows = ctx.rows
        used = [gradient for gradient in of_first if gradient is not None]
        if of_sum is not None:
            transposed = rows.transposed_offsets, rows.transposed_targets, rows.transposed_values, rows.shape[::-1]
            total = _product(*transposed, of_sum.contiguous())
        elif used:
            total = used[0].new_zeros(ctx.shape)
        else:
            return None, None, None
        for gradient in used:
            total[: len(gradient)] += gradient
        return total, None, None


def _product(offsets: Tensor, sources: Tensor, values: Tensor | None, shape: tuple[int, int], x: Tensor) -> Tensor:
    if len(sources) == 0:  # the sparse kernels refuse a matrix without entries
        return x.new_zeros(shape[0], x.shape[1])
    values = x.new_ones(len(sources)) if values is None else values.to(x.dtype)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        warnings.filterwarnings("ignore", message="Sparse invariant checks are implicitly disabled")  # older torch
        matrix = torch.sparse_csr_tensor(offsets, sources, values, shape, check_invariants=False)
    return matrix @ x
