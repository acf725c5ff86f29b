"""Sparse rows together with their transpose: made once in the sampler's thread, for forward and backward pass alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dualgnn_dist.base.kernels import kernel

_NO_VALUES = np.empty(0, dtype=np.float32)


def sparse_rows(
    offsets: np.ndarray, sources: np.ndarray, num_sources: int, values: np.ndarray | None = None
) -> SparseRows:
    """`SparseRows` from int32 [T + 1] offsets, int32 [E] sources below `num_sources` and float32 [E] values or None."""
    transposed_offsets, targets, transposed_values = _transpose(
        offsets, sources, num_sources, _NO_VALUES if values is None else values
    )
    return SparseRows(
        torch.from_numpy(offsets),
        torch.from_numpy(sources),
        torch.from_numpy(transposed_offsets),
        torch.from_numpy(targets),
        None if values is None else torch.from_numpy(values),
        None if values is None else torch.from_numpy(transposed_values),
    )


@kernel
def _transpose(
    offsets: np.ndarray, sources: np.ndarray, num_sources: int, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A counting sort by source. `values` may be empty: then there are none."""
    # Counted one place late, so that where source s starts stands at s + 1, moves to its end as it is filled, and thus
    # becomes where source s + 1 starts: one array does for the counts, the next free places and the result.
    places = np.zeros(num_sources + 2, dtype=np.int32)
    for edge in range(len(sources)):
        places[sources[edge] + 2] += 1
    for source in range(num_sources):
        places[source + 2] += places[source + 1]
    targets = np.empty(len(sources), dtype=np.int32)
    transposed_values = np.empty(len(values), dtype=values.dtype)
    for target in range(len(offsets) - 1):
        for edge in range(offsets[target], offsets[target + 1]):
            place = places[sources[edge] + 1]
            places[sources[edge] + 1] = place + 1
            targets[place] = target
            if len(values):
                transposed_values[place] = values[edge]
    return places[: num_sources + 1], targets, transposed_values


@dataclass(frozen=True)
class SparseRows:
    """A sparse matrix [T, S] by rows, together with its transpose, which the backward pass multiplies with.

    Args:
        offsets: int32 [T + 1].
        sources: int32 [E], the column of each entry.
        transposed_offsets: int32 [S + 1].
        transposed_targets: int32 [E].
        values: float32 [E] in row order, or None where every entry is 1.
        transposed_values: float32 [E] in transposed order.
    """

    offsets: Tensor
    sources: Tensor
    transposed_offsets: Tensor
    transposed_targets: Tensor
    values: Tensor | None = None
    transposed_values: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows (targets) and columns (sources)."""
        return len(self.offsets) - 1, len(self.transposed_offsets) - 1


def transpose(rows: SparseRows) -> SparseRows:
    """The transposed matrix; nothing is copied."""
    return SparseRows(
        rows.transposed_offsets,
        rows.transposed_targets,
        rows.offsets,
        rows.sources,
        rows.transposed_values,
        rows.values,
    )
