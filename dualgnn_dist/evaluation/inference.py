"""Exact representations of everything, layer by layer, users partitioned over the workers.

A user's rows never leave their worker: `A x` at users needs the items' last layer, which every worker holds, and `A x`
at items is the sum of the workers' partial sums. Each worker makes the next layer of its share of the items. So a layer
costs the network one all-reduce and one gathering of [I, X], whatever U is. Only the co-occurrence aggregation reads
other workers' users, and of those only the finished d-wide vectors.

Legend: U, I users and items; n this worker's users; X propagated width; d width of a representation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from dualgnn_dist.base.batch import to_device
from dualgnn_dist.base.liveness.heartbeat import beat
from dualgnn_dist.base.sparse import SparseRows, sparse_rows, transpose
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.embeddings.routing import Route
from dualgnn_dist.embeddings.sharded_table import ShardedTable
from dualgnn_dist.evaluation.representations import Representations
from dualgnn_dist.models import Nodes, Recommender
from dualgnn_dist.models.co_users import exact_co_users
from dualgnn_dist.models.neighbor_sum import neighbor_sum

BLOCK = 16_384  # rows of users or items worked on at a time: bounds the memory beside the layers themselves


@torch.no_grad()
def infer(model: Recommender, tables: Mapping[str, ShardedTable], store: Store, world: World) -> Representations:
    """Exact representations of all users and items. Every worker must call it."""
    return _Inference(model.eval(), tables, store, world).run()


class _Inference:
    def __init__(self, model: Recommender, tables: Mapping[str, ShardedTable], store: Store, world: World) -> None:
        self._model, self._store, self._world = model, store, world
        self._num_users, self._num_items = store.manifest.num_users, store.manifest.num_items
        self._own_users = torch.arange(world.rank, self._num_users, world.size)
        self._own_items = torch.arange(world.rank, self._num_items, world.size)
        self._tables = tables

    def run(self) -> Representations:
        users = _by_block(len(self._own_users), lambda block: self._model.user_inputs(self._rows("users", block)))
        items = self._gather_items(self._item_inputs())
        user_layers, item_layers = [users], [items]
        for index in range(1, self._model.num_hops + 1):
            users, items = self._layer(index, users, items)
            user_layers.append(users)
            item_layers.append(items)
        item_layers = [x[self._own_items] for x in item_layers]
        users = _by_block(len(self._own_users), lambda block: self._readout("users", user_layers, block))
        items = _by_block(len(self._own_items), lambda block: self._readout("items", item_layers, block))
        users = users + self._from_co_users(users)
        return Representations(self._own_users, users, self._gather_items(items), self._modality_weights())

    def _modality_weights(self) -> Tensor | None:
        if self._model.modality_weights(self._rows("users", slice(0, 0))) is None:
            return None
        weights_of = self._model.modality_weights
        return _by_block(len(self._own_users), lambda block: weights_of(self._rows("users", block)))  # type: ignore[arg-type,return-value]

    def _readout(self, side: str, layers: list[Tensor], block: slice) -> Tensor:
        readout = self._model.readout_users if side == "users" else self._model.readout_items
        return readout([x[block] for x in layers], self._rows(side, block))

    def _rows(self, side: str, block: slice) -> dict[str, Tensor]:
        """The parts of this worker's table rows at local positions `block`, on the worker's device."""
        if side not in self._tables:
            return {}
        table = self._tables[side]
        values = table.local_rows(block.start, block.stop)[1].to(self._world.device)
        return {part: values[:, columns] for part, columns in table.columns.items()}

    def _item_inputs(self) -> Tensor:
        """[own items, X]: each worker runs the towers of its share of the items."""
        columns = {name: self._store.features(name) for name in self._model.modalities}

        def inputs(block: slice) -> Tensor:
            items = self._own_items[block].numpy().astype(np.int32)
            features = {name: column.gather(items) for name, column in columns.items()}
            return self._model.item_inputs(self._rows("items", block), to_device(features, self._world.device))

        return _by_block(len(self._own_items), inputs)

    def _layer(self, index: int, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        model, device = self._model, self._world.device
        user_degrees = torch.from_numpy(self._store.user_item.degrees(self._own_users.numpy())).to(device).float()
        item_degrees = torch.from_numpy(self._store.item_user.degrees()).to(device).float()
        weighted_items = items * model.source_weight(item_degrees).unsqueeze(1)
        to_items = torch.zeros_like(items)

        def users_of(block: slice) -> Tensor:
            degrees = user_degrees[block]
            edges = self._edges(self._own_users[block])
            weighted_users = users[block] * model.source_weight(degrees).unsqueeze(1)
            to_items.add_(neighbor_sum(transpose(edges), weighted_users))
            total = neighbor_sum(edges, weighted_items) * model.target_weight(degrees).unsqueeze(1)
            return model.layer(index, users[block], total, Nodes(self._rows("users", block), degrees))

        def items_of(block: slice) -> Tensor:
            own = self._own_items[block]
            degrees = item_degrees[own]
            total = to_items[own] * model.target_weight(degrees).unsqueeze(1)
            return model.layer(index, items[own], total, Nodes(self._rows("items", block), degrees))

        next_users = _by_block(len(self._own_users), users_of)
        self._world.sum(to_items)
        return next_users, self._gather_items(_by_block(len(self._own_items), items_of))

    def _from_co_users(self, users: Tensor) -> Tensor:
        """`h(u)` [n, d] of this worker's users, over all K co-users with their exact weights."""
        if self._model.co_users is None:
            return torch.zeros_like(users)
        co_users, graph = self._model.co_users, self._store.user_cooccurrence
        blocks = []
        for block in self._blocks_of_all_workers():
            rows = exact_co_users(graph, self._own_users[block].numpy().astype(np.int32), co_users)
            neighbors, positions = np.unique(rows.neighbors, return_inverse=True)
            route = Route(torch.from_numpy(neighbors.astype(np.int64)).to(users.device), self._world)
            vectors = route.answer(users[route.asked])
            edges = sparse_rows(rows.offsets, positions.astype(np.int32), len(neighbors), rows.weights)
            blocks.append(neighbor_sum(to_device(edges, self._world.device), vectors))
        return torch.cat(blocks)

    def _edges(self, users: Tensor) -> SparseRows:
        offsets, items = self._store.user_item.gather(users.numpy())
        return to_device(sparse_rows(offsets.astype(np.int32), items, self._num_items), self._world.device)

    def _gather_items(self, own_rows: Tensor) -> Tensor:
        """[I, ...] from every worker's items."""
        items = own_rows.new_empty((self._num_items, *own_rows.shape[1:]))
        for rank, part in enumerate(self._world.gather_rows(own_rows)):
            items[rank :: self._world.size] = part
        return items

    def _blocks_of_all_workers(self) -> Iterator[slice]:
        """The same number of blocks on every worker, for what they do together."""
        most_users = -(-self._num_users // self._world.size)
        return (slice(start, start + BLOCK) for start in range(0, max(1, most_users), BLOCK))


def _by_block(num_rows: int, function: Callable[[slice], Tensor]) -> Tensor:
    blocks = []
    for start in range(0, max(1, num_rows), BLOCK):
        blocks.append(function(slice(start, start + BLOCK)))
        beat()
    return torch.cat(blocks)
