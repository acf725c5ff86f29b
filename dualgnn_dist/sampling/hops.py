"""Step 4 of a mini-batch: seeds -> their layered neighbourhood, an honest estimate of the whole graph's propagation.

Hop h draws anew, with fanout h, for EVERY node within h - 1 hops, so a layer's value at a node does not depend on where
in the batch the node was first met: it is unbiased for any number of layers (a draw that served two layers would meet
itself on walks that return), and the same however the batch is cut over workers.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch

from dualgnn_dist.base.batch import Hop, Subgraph
from dualgnn_dist.base.csr import ShardedCSR
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.randomness import Word, mix
from dualgnn_dist.base.sparse import sparse_rows
from dualgnn_dist.sampling.draws import ALL, DRAWS, NOTHING_EXCLUDED, Drawn, Excluded


@dataclass(frozen=True)
class Seeds:
    """Distinct nodes to start from.

    Args:
        users: int32 [u], items: int32 [i].
        excluded_of_users: edges to leave out of the draws of the first users, or nothing.
        excluded_of_items: the same for the first items.
        fanout_of_user: int32 [u], what each of the users draws at the first hop; None where all draw alike.
    """

    users: np.ndarray
    items: np.ndarray
    excluded_of_users: Excluded = NOTHING_EXCLUDED
    excluded_of_items: Excluded = NOTHING_EXCLUDED
    fanout_of_user: np.ndarray | None = None


class NeighborSampler:
    """Samples layered subgraphs; one may be shared by threads.

    Args:
        fanouts: neighbours drawn at hop 1, 2, ..; `ALL` takes every one.
        draws: how a node chooses among its neighbours, by its name in `DRAWS`.

    Raises:
        UserError: the draws need a package that is not installed.
    """

    def __init__(
        self, user_item: ShardedCSR, item_user: ShardedCSR, fanouts: Sequence[int], draws: str = "independent"
    ) -> None:
        self._user_item, self._item_user = user_item, item_user
        self._fanouts = tuple(fanouts)
        self._draw = DRAWS[draws](user_item, item_user)
        self._local = threading.local()

    def sample(self, seeds: Seeds, key: Word) -> Subgraph:
        """The subgraph around `seeds`, a pure function of them and the uint64 `key` of the step."""
        return self._assemble(*self._reach(seeds, key))

    def _reach(self, seeds: Seeds, key: Word) -> tuple[_Reached, _Reached, list[_HopEdges]]:
        """The nodes and the edges of every hop; `_assemble` adds the transposes and the degrees."""
        users = _Reached(seeds.users, self._positions("users", self._user_item.num_rows))
        items = _Reached(seeds.items, self._positions("items", self._item_user.num_rows))
        # Between Python and a kernel a hash must stay a uint64: as a Python int it may be too large for Numba's guess.
        user_key, item_key = (np.uint64(mix(np.uint64(key), side)) for side in (0, 1))
        hops = []
        try:
            for hop, fanout in enumerate(self._fanouts):
                user_fanout = fanout if hop > 0 or seeds.fanout_of_user is None else seeds.fanout_of_user
                to_users = self._draw("users", users.nodes, user_fanout, user_key, hop, seeds.excluded_of_users)
                to_items = self._draw("items", items.nodes, fanout, item_key, hop, seeds.excluded_of_items)
                hops.append(
                    _HopEdges(to_users, to_items, items.reach(to_users.neighbors), users.reach(to_items.neighbors))
                )
        finally:
            users.forget()
            items.forget()
        return users, items, hops

    def _assemble(self, users: _Reached, items: _Reached, hops: list[_HopEdges]) -> Subgraph:
        return Subgraph(
            torch.from_numpy(users.nodes),
            torch.from_numpy(items.nodes),
            torch.from_numpy(self._user_item.degrees(users.nodes)),
            torch.from_numpy(self._item_user.degrees(items.nodes)),
            tuple(users.counts),
            tuple(items.counts),
            tuple(
                edges.as_hop(num_users, num_items)
                for edges, num_users, num_items in zip(hops, users.counts[1:], items.counts[1:], strict=True)
            ),
        )

    def _positions(self, side: str, num_rows: int) -> np.ndarray:
        """A thread's int32 [num_rows] scratch of local positions: -1 all over between calls, so no call clears it."""
        if not hasattr(self._local, side):
            setattr(self._local, side, np.full(num_rows, -1, dtype=np.int32))
        return getattr(self._local, side)


class _HopEdges(NamedTuple):
    """The edges of one hop, and the local position of each one's source, int32."""

    to_users: Drawn
    to_items: Drawn
    sources_of_users: np.ndarray
    sources_of_items: np.ndarray

    def as_hop(self, num_users: int, num_items: int) -> Hop:
        """The same as sparse matrices, whose columns are all nodes reached by this hop."""
        return Hop(
            sparse_rows(self.to_users.offsets, self.sources_of_users, num_items),
            sparse_rows(self.to_items.offsets, self.sources_of_items, num_users),
            torch.from_numpy(self.to_users.scale),
            torch.from_numpy(self.to_items.scale),
        )


class _Reached:
    """The nodes of one type reached so far, in order of first reach."""

    def __init__(self, seeds: np.ndarray, positions: np.ndarray) -> None:
        self.nodes = np.ascontiguousarray(seeds, dtype=np.int32)
        self.counts = [len(seeds)]
        self._positions = positions
        positions[self.nodes] = np.arange(len(seeds), dtype=np.int32)

    def reach(self, neighbors: np.ndarray) -> np.ndarray:
        """Adds what is new among `neighbors`; returns the local position of each, int32."""
        local, self.nodes = _relabel(neighbors, self._positions, self.nodes)
        self.counts.append(len(self.nodes))
        return local

    def forget(self) -> None:
        """Clears the scratch by the nodes touched."""
        _clear(self._positions, self.nodes)


@kernel
def _relabel(neighbors: np.ndarray, positions: np.ndarray, nodes_before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The position of each neighbour, and the nodes before it followed by the new ones in order of first reach.

    Whether a neighbour is new is a coin toss that no processor foresees, so nothing branches on it.
    """
    local = np.empty(len(neighbors), dtype=np.int32)
    nodes = np.empty(len(nodes_before) + len(neighbors) + 1, dtype=np.int32)
    nodes[: len(nodes_before)] = nodes_before
    num_nodes = len(nodes_before)
    for edge in range(len(neighbors)):
        node = neighbors[edge]
        position = positions[node]
        is_new = position < 0
        position = num_nodes if is_new else position
        nodes[num_nodes] = node  # stays only if it is new
        num_nodes += is_new
        positions[node] = position
        local[edge] = position
    return local, nodes[:num_nodes]


@kernel
def _clear(positions: np.ndarray, nodes: np.ndarray) -> None:
    for node in nodes:
        positions[node] = -1


def parse_fanouts(fanouts: Sequence[int] | Literal["all"], num_hops: int) -> tuple[int, ...]:
    """One fanout a hop: the last one repeats where there are fewer than hops, those beyond `num_hops` are not used."""
    values = [ALL] if fanouts == "all" else list(fanouts)
    return tuple(values[min(hop, len(values) - 1)] for hop in range(num_hops))
