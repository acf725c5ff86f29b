"""Sparse rows together with their transpose: made once in the sampler's thread, for forward and backward pass alike."""

from __future__ import annotations

import numpy as np
import torch
from numba import njit

from dualgnn_dist.types import SparseRows


def sparse_rows(
    offsets: np.ndarray, sources: np.ndarray, num_sources: int, values: np.ndarray | None = None
) -> SparseRows:
    """`SparseRows` from int32 [T + 1] offsets, int32 [E] sources below `num_sources` and float32 [E] values or None."""
    transposed_offsets, targets, order = _transpose(offsets, sources, num_sources)
    return SparseRows(
        torch.from_numpy(offsets),
        torch.from_numpy(sources),
        torch.from_numpy(transposed_offsets),
        torch.from_numpy(targets),
        None if values is None else torch.from_numpy(values),
        None if values is None else torch.from_numpy(values[order]),
    )


@njit(nogil=True, cache=True)
def _transpose(offsets: np.ndarray, sources: np.ndarray, num_sources: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    transposed_offsets = np.zeros(num_sources + 1, dtype=np.int32)
    for edge in range(len(sources)):
        transposed_offsets[sources[edge] + 1] += 1
    for source in range(num_sources):
        transposed_offsets[source + 1] += transposed_offsets[source]
    fill = transposed_offsets.copy()
    targets = np.empty(len(sources), dtype=np.int32)
    order = np.empty(len(sources), dtype=np.int32)
    for target in range(len(offsets) - 1):
        for edge in range(offsets[target], offsets[target + 1]):
            position = fill[sources[edge]]
            fill[sources[edge]] += 1
            targets[position] = target
            order[position] = edge
    return transposed_offsets, targets, order
