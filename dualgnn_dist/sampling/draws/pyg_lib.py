"""pyg-lib's sampler as a draw, where it is installed.

pyg-lib samples one homogeneous int64 graph held in memory, so both directions of the bipartite graph are copied into
one, items numbered after users. It has a generator of its own, which is seeded with the draw's key before each call: a
batch is reproducible at one thread, but unlike with our own draws it depends on the slice of the batch a worker holds.

pyg-lib is not on the package index and could not be run where this was written; `tests/conformance/test_samplers.py`
runs it wherever it is installed.
"""

from __future__ import annotations

import importlib.util
import threading
from typing import Any

import numpy as np
import torch

from dualgnn_dist.base.csr import ShardedCSR
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.randomness import Word
from dualgnn_dist.sampling.draws.contract import NOTHING_EXCLUDED, Drawn, Excluded


def is_installed() -> bool:
    """Whether `import pyg_lib` would find it."""
    return importlib.util.find_spec("pyg_lib") is not None


class PygLibDraw:
    """Draws through `pyg_lib.sampler.neighbor_sample`, one hop a call: see `Draw`.

    Raises:
        UserError: pyg-lib is not installed.
    """

    def __init__(self, user_item: ShardedCSR, item_user: ShardedCSR) -> None:
        if not is_installed():
            raise UserError(
                "sampler.draws=pyg_lib needs the package pyg-lib, which is not installed; install it from PyG's wheel "
                "index, or use sampler.draws=independent"
            )
        import pyg_lib

        self._sample: Any = pyg_lib.sampler.neighbor_sample
        self._num_users = user_item.num_rows
        self._degrees = {"users": user_item.degrees(), "items": item_user.degrees()}
        self._rowptr, self._col = _homogeneous(user_item, item_user)
        self._lock = threading.Lock()  # the generator is global to the process

    def __call__(
        self,
        side: str,
        targets: np.ndarray,
        fanout: int | np.ndarray,
        key: Word,
        hop: int,
        excluded: Excluded = NOTHING_EXCLUDED,
    ) -> Drawn:
        """See `Draw`.

        Raises:
            UserError: edges are excluded, which pyg-lib's public op cannot do.
        """
        if len(excluded.ids):
            raise UserError("sampler.exclude_positives needs other sampler.draws: pyg-lib cannot leave edges out")
        first_target, first_neighbor = (0, self._num_users) if side == "users" else (self._num_users, 0)
        fanouts = np.broadcast_to(fanout, len(targets))
        rows, neighbors = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        for value in np.unique(fanouts):  # pyg-lib takes one for all seeds of a call
            places = np.flatnonzero(fanouts == value)
            seeds = torch.from_numpy(targets[places].astype(np.int64) + first_target)
            with self._lock:
                torch.manual_seed((int(key) ^ hop) & (2**63 - 1))
                row, col, nodes, *_ = self._sample(self._rowptr, self._col, seeds, [int(value)], return_edge_id=False)
            rows.append(places[row.numpy()])
            neighbors.append(nodes[col].numpy() - first_neighbor)
        row_of_edge = np.concatenate(rows)
        by_row = np.argsort(row_of_edge, kind="stable")
        counts = np.bincount(row_of_edge, minlength=len(targets))
        offsets = np.zeros(len(targets) + 1, dtype=np.int32)
        np.cumsum(counts, out=offsets[1:])
        scale = self._degrees[side][targets] / np.maximum(counts, 1)
        return Drawn(offsets, np.concatenate(neighbors)[by_row].astype(np.int32), scale.astype(np.float32))


def _homogeneous(user_item: ShardedCSR, item_user: ShardedCSR) -> tuple[torch.Tensor, torch.Tensor]:
    num_users = user_item.num_rows
    user_offsets, items = user_item.gather(np.arange(num_users, dtype=np.int32))
    item_offsets, users = item_user.gather(np.arange(item_user.num_rows, dtype=np.int32))
    rowptr = np.concatenate([user_offsets, user_offsets[-1] + item_offsets[1:]])
    col = np.concatenate([items.astype(np.int64) + num_users, users.astype(np.int64)])
    return torch.from_numpy(rowptr), torch.from_numpy(col)
