"""Every node draws alone, at most `fanout` of its neighbours, uniformly and without replacement.

What a node draws is a pure function of (key, hop, node). A layer's value at a node is therefore the same on whichever
worker and in whichever slice of the batch the node turns up: two workers compute exactly what one would.
"""

from __future__ import annotations

import numpy as np

from dualgnn_dist.base.csr import CSRHandle
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.randomness import mix
from dualgnn_dist.base.raw_reads import load_int32, prefetch_int32
from dualgnn_dist.sampling.draws.contract import Drawn, Excluded
from dualgnn_dist.sampling.draws.frame import KernelDraw, choose_positions, excluded_of, frame_of, skip_excluded

_GROUP = 32  # targets whose neighbours are asked for before any is read: about as many lines as a core can wait for


@kernel
def _draw(csr: CSRHandle, targets: np.ndarray, fanouts: np.ndarray, key: int, hop: int, excluded: Excluded) -> Drawn:
    """Where a neighbour lies is known before any is read: a group's cache misses overlap."""
    rows, available, drawn = frame_of(csr, targets, fanouts, excluded)
    offsets, neighbors = drawn.offsets, drawn.neighbors
    hop_key = mix(key, hop)
    for start in range(0, len(targets), _GROUP):
        group = range(start, min(start + _GROUP, len(targets)))
        for k in group:
            positions = neighbors[offsets[k] : offsets[k + 1]]
            choose_positions(positions, available[k], mix(hop_key, targets[k]))
            if k < len(excluded.offsets) - 1:
                skip_excluded(csr, targets[k], excluded_of(excluded, k), positions)
            if len(positions) < available[k]:
                for position in positions:
                    prefetch_int32(rows[k], position)
            else:  # neighbours in a row, which the processor foresees by itself
                prefetch_int32(rows[k], 0)
        for k in group:
            for edge in range(offsets[k], offsets[k + 1]):
                neighbors[edge] = load_int32(rows[k], neighbors[edge])
    return drawn


class IndependentDraw(KernelDraw):
    """The `independent` draws."""

    kernel = _draw
