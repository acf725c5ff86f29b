"""Table rows as the parts of a row, of all nodes and of the first: one buffer for all their gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dualgnn_dist.base.table_part import TablePart


def split_rows(
    rows: Tensor | None, parts: Mapping[str, TablePart], count: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parts of all `rows` [n, W], and of the first `count` of them, as views: part -> [.., width].

    As slices they would each return a gradient as large as `rows`, zeros but for a few columns or rows; here all are
    written into one. No rows and no parts: nothing.
    """
    if rows is None:
        return {}, {}
    split = _SplitRows.apply(rows, [part.width for part in parts.values()], count)
    return dict(zip(parts, split, strict=False)), dict(zip(parts, split[len(parts) :], strict=True))


class _SplitRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, widths: list[int], count: int) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.shape, ctx.widths, ctx.count = rows.shape, widths, count
        return *rows.split(widths, dim=1), *rows[:count].split(widths, dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None, None]:
        some = next((gradient for gradient in gradients if gradient is not None), None)
        if some is None:
            return None, None, None
        total = some.new_empty(ctx.shape)
        for columns, whole in zip(total.split(ctx.widths, dim=1), gradients, strict=False):
            columns.zero_() if whole is None else columns.copy_(whole)
        first_columns = total[: ctx.count].split(ctx.widths, dim=1)
        for columns, first in zip(first_columns, gradients[len(ctx.widths) :], strict=True):
            if first is not None:
                columns.add_(first)
        return total, None, None
