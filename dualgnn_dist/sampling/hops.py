"""Step 4 of a mini-batch: seeds -> their layered neighbourhood, an honest estimate of the whole graph's propagation.

Hop h draws anew, with fanout h, for EVERY node within h - 1 hops, so a layer's value at a node does not depend on where
in the batch the node was first met: it is unbiased for any number of layers (a draw that served two layers would meet
itself on walks that return), and the same however the batch is cut over workers.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch

from dualgnn_dist.base.batch import Hop, Subgraph
from dualgnn_dist.base.csr import ShardedCSR
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.randomness import Word, mix
from dualgnn_dist.base.sparse import sparse_rows
from dualgnn_dist.sampling.config import Backend, Draws
from dualgnn_dist.sampling.draws import pyg_lib
from dualgnn_dist.sampling.draws.independent import ALL, NOTHING_EXCLUDED, Drawn, Excluded, NumbaDraw
from dualgnn_dist.sampling.draws.shared import SharedDraw


class Draw(Protocol):
    """One hop's draw: the contract of a backend. See `NumbaDraw`."""

    def __call__(
        self, side: str, targets: np.ndarray, fanout: int, key: Word, hop: int, excluded: Excluded = NOTHING_EXCLUDED
    ) -> Drawn:
        """At most `fanout` neighbours of each of int32 `targets`, uniformly, without replacement."""
        ...


def make_draw(backend: Backend, user_item: ShardedCSR, item_user: ShardedCSR, draws: Draws = "independent") -> Draw:
    """The backend by name. `auto` is Numba's: it reads the shards in place and does not depend on the workers."""
    if draws == "shared":
        return SharedDraw(user_item, item_user)
    return PYG(user_item, item_user) if backend == "pyg_lib" else NumbaDraw(user_item, item_user)


PYG = pyg_lib.PygLibDraw


@dataclass(frozen=True)
class Seeds:
    """Distinct nodes to start from.

    Args:
        users: int32 [u], items: int32 [i].
        excluded_users: edges to leave out of the draws of the first users, or nothing.
        excluded_items: the same for the first items.
        num_light_users: so many of the last users draw `light_fanout` at the first hop.
    """

    users: np.ndarray
    items: np.ndarray
    excluded_users: Excluded = NOTHING_EXCLUDED
    excluded_items: Excluded = NOTHING_EXCLUDED
    num_light_users: int = 0
    light_fanout: int = ALL


class NeighborSampler:
    """Samples layered subgraphs; one may be shared by threads.

    Args:
        fanouts: neighbours drawn at hop 1, 2, ..; `ALL` takes every one.
        draws: whether targets with neighbours in common choose the same ones.
    """

    def __init__(
        self,
        user_item: ShardedCSR,
        item_user: ShardedCSR,
        fanouts: Sequence[int],
        backend: Backend,
        draws: Draws = "independent",
    ) -> None:
        self._user_item, self._item_user = user_item, item_user
        self._fanouts = tuple(fanouts)
        self._draw = make_draw(backend, user_item, item_user, draws)
        self._local = threading.local()

    def sample(self, seeds: Seeds, key: Word) -> Subgraph:
        """The subgraph around `seeds`, a pure function of them and the uint64 `key` of the step."""
        return self._assemble(*self._reach(seeds, key))

    def _reach(self, seeds: Seeds, key: Word) -> tuple[_Reached, _Reached, list]:
        """The nodes and the edges of every hop; `_assemble` adds the transposes and the degrees."""
        users = _Reached(seeds.users, self._positions("users", self._user_item.num_rows))
        items = _Reached(seeds.items, self._positions("items", self._item_user.num_rows))
        # Between Python and a kernel a hash must stay a uint64: as a Python int it may be too large for Numba's guess.
        user_key, item_key = (np.uint64(mix(np.uint64(key), side)) for side in (0, 1))
        drawn = []
        try:
            for hop, fanout in enumerate(self._fanouts):
                light = (seeds.num_light_users, seeds.light_fanout) if hop == 0 else (0, ALL)
                to_users = self._draw_users(users.nodes, fanout, user_key, hop, seeds.excluded_users, *light)
                to_items = self._draw("items", items.nodes, fanout, item_key, hop, seeds.excluded_items)
                sources_of_users = items.reach(to_users.neighbors)
                sources_of_items = users.reach(to_items.neighbors)
                drawn.append((to_users, sources_of_users, to_items, sources_of_items))
        finally:
            users.forget()
            items.forget()
        return users, items, drawn

    def _draw_users(
        self, users: np.ndarray, fanout: int, key: Word, hop: int, excluded: Excluded, num_light: int, light_fanout: int
    ) -> Drawn:
        """`light_fanout` for the last `num_light` of them, `fanout` for the others."""
        num_full = len(users) - num_light
        full = self._draw("users", users[:num_full], fanout, key, hop, excluded)
        if num_light == 0:
            return full
        light = self._draw("users", users[num_full:], light_fanout, key, hop)
        return Drawn(
            np.concatenate([full.offsets, full.offsets[-1] + light.offsets[1:]]),
            np.concatenate([full.neighbors, light.neighbors]),
            np.concatenate([full.scale, light.scale]),
        )

    def _assemble(self, users: _Reached, items: _Reached, drawn: list) -> Subgraph:
        hops = []
        for hop, (to_users, sources_of_users, to_items, sources_of_items) in enumerate(drawn):
            hops.append(
                Hop(
                    sparse_rows(to_users.offsets, sources_of_users, items.counts[hop + 1]),
                    sparse_rows(to_items.offsets, sources_of_items, users.counts[hop + 1]),
                    torch.from_numpy(to_users.scale),
                    torch.from_numpy(to_items.scale),
                )
            )
        return Subgraph(
            torch.from_numpy(users.nodes),
            torch.from_numpy(items.nodes),
            torch.from_numpy(self._user_item.degrees(users.nodes)),
            torch.from_numpy(self._item_user.degrees(items.nodes)),
            tuple(users.counts),
            tuple(items.counts),
            tuple(hops),
        )

    def _positions(self, side: str, num_rows: int) -> np.ndarray:
        """A thread's int32 [num_rows] scratch of local positions: -1 all over between calls, so no call clears it."""
        if not hasattr(self._local, side):
            setattr(self._local, side, np.full(num_rows, -1, dtype=np.int32))
        return getattr(self._local, side)


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
def _relabel(neighbors: np.ndarray, positions: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The position of each neighbour, and the known nodes followed by the new ones in order of first reach.

    Whether a neighbour is new is a coin toss that no processor foresees, so nothing branches on it.
    """
    local = np.empty(len(neighbors), dtype=np.int32)
    nodes = np.empty(len(known) + len(neighbors) + 1, dtype=np.int32)
    nodes[: len(known)] = known
    num_nodes = len(known)
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
