"""Rows that live with other workers: asked of their owners, answered, and answered back. Row r lives on `r % size`.

A worker's own rows never travel.
"""

from __future__ import annotations

import numpy as np
import torch

from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.world import World


class Route:
    """How the rows of one request travel. Making one is collective over the workers.

    Args:
        rows: int64 [n], distinct, on the worker's device.

    Attributes:
        places: int64 [n], where each row stands in the request: this worker's own rows first, then those of the others
            by rank; ascending rows of each, so that their owner reads its memory in order.
        num_own, num_others: how many of the request's rows this worker owns, and how many the others do.
        num_served: how many rows the others ask of this worker.
        asked: int64 [m], local positions (`r // size`): its own `num_own` rows first, then what the others ask of this
            worker, by rank.
    """

    def __init__(self, rows: torch.Tensor, world: World) -> None:
        self._world = world
        owner = rows % world.size
        counts = torch.bincount(owner, minlength=world.size).tolist()
        owner[owner == world.rank] = -1
        self.places = torch.argsort((owner << 48) + rows)
        self.num_own = counts[world.rank]
        self.num_others = len(rows) - self.num_own
        counts[world.rank] = 0
        self._wanted, self._asked_by = counts, world.exchange_lengths(counts)
        local = rows.index_select(0, self.places) // world.size
        others = world.exchange(local[self.num_own :], self._wanted, self._asked_by)
        self.num_served = len(others)
        self.asked = torch.cat([local[: self.num_own], others])

    def answer(self, values: torch.Tensor) -> torch.Tensor:
        """[n, width] of the requested rows in the order asked, given this worker's `values` [m, width] of `asked`."""
        ordered = values.new_empty((len(self.places), *values.shape[1:]))
        ordered[self.places[: self.num_own]] = values[: self.num_own]
        ordered[self.places[self.num_own :]] = self.fetch(values[self.num_own :])
        return ordered

    def fetch(self, values: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """[n - num_own, width] of the rows at `places[num_own:]`, given `values` of what the others asked."""
        return self._world.exchange(values, self._asked_by, self._wanted, out)

    def send_back(self, values: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """[m - num_own, width] for what the others asked, given every worker's values for `places[num_own:]`."""
        return self._world.exchange(values, self._wanted, self._asked_by, out)


def put_rows(target: torch.Tensor, places: torch.Tensor, rows: torch.Tensor) -> None:
    """`target[places] = rows` for [.., width]; `places` are distinct."""
    if target.device.type == "cpu" and target.dtype == torch.float32:
        _put_rows(target.numpy(), places.numpy(), rows.numpy())  # twice as fast as index_copy_
    else:
        target.index_copy_(0, places, rows)


@kernel
def _put_rows(target: np.ndarray, places: np.ndarray, rows: np.ndarray) -> None:
    for position in range(len(places)):
        place = places[position]
        for column in range(target.shape[1]):
            target[place, column] = rows[position, column]
