"""Rows that live with other workers: asked of their owners, answered, and answered back. Row r lives on `r % size`."""

from __future__ import annotations

import torch

from dualgnn_dist.world import World


class Route:
    """How the rows of one request travel. Making one is collective over the workers.

    Args:
        rows: int64 [n], distinct, on the worker's device.

    Attributes:
        asked: int64 [m], the local positions (`r // size`) that the workers ask of this one, by rank.
        num_asked: how many of them each worker asks.
    """

    def __init__(self, rows: torch.Tensor, world: World) -> None:
        self._world = world
        owner = rows % world.size
        self._by_owner = torch.argsort(owner, stable=True)
        self._wanted = torch.bincount(owner, minlength=world.size).tolist()
        self.num_asked = world.exchange_lengths(self._wanted)
        self.asked = world.exchange(rows.index_select(0, self._by_owner) // world.size, self._wanted, self.num_asked)

    def answer(self, values: torch.Tensor) -> torch.Tensor:
        """[n, width] of the requested rows in the order asked, given this worker's `values` [m, width] of `asked`."""
        received = self._world.exchange(values, self.num_asked, self._wanted)
        ordered = torch.empty_like(received)
        ordered[self._by_owner] = received
        return ordered

    def send_back(self, values: torch.Tensor) -> torch.Tensor:
        """[m, width] for the rows in `asked`, given every worker's `values` [n, width] for the rows it requested."""
        return self._world.exchange(values.index_select(0, self._by_owner), self._wanted, self.num_asked)
