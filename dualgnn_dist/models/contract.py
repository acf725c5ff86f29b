"""What a model is: functions of single rows. How rows meet along the graph is written once, here and in `inference`.

A model says what a node starts from, what a layer makes of a node and the sum over its neighbours, and what the layers
amount to. Training (`forward`, on a sampled subgraph) and ranking (`dualgnn_dist.inference`, on the whole graph) call
the same functions, so they cannot drift apart. A model holds the dense weights; the table rows come as arguments.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from dualgnn_dist.models.layers import neighbor_sum
from dualgnn_dist.parts import TablePart
from dualgnn_dist.types import Batch, Feature, Neighborhood, Sizes, SparseRows

Weighting = Literal["softmax", "mean", "count"]
Rows = Mapping[str, Tensor]


@dataclass(frozen=True)
class CoUsers:
    """How a model reads the user co-occurrence graph: of how many neighbours at the most, and how it weighs them."""

    max_neighbors: int
    weighting: Weighting


class Recommender(nn.Module, ABC):
    """The contract. Legend: u, i nodes of a (sub)graph; X the propagated width; d the width of a representation.

    Class attributes:
        Config: the frozen dataclass of the model's own settings.
        learning_rate: what `optimizer.learning_rate: null` means for this model.

    Attributes:
        user_parts, item_parts: what a table row of a user or item consists of; empty where there is no table.
        modalities: names of the modalities that the model reads.
        num_hops: layers of propagation.
        co_users: how the co-occurrence graph is read, or None.
    """

    Config: ClassVar[type[Any]]
    learning_rate: ClassVar[float] = 1e-3

    user_parts: Mapping[str, TablePart]
    item_parts: Mapping[str, TablePart]
    modalities: tuple[str, ...] = ()
    num_hops: int = 0
    co_users: CoUsers | None = None

    def __init__(self, config: Any, sizes: Sizes) -> None:
        super().__init__()
        self.config = config
        self.user_parts, self.item_parts = {}, {}

    @abstractmethod
    def user_inputs(self, rows: Rows) -> Tensor:
        """[u, X] layer 0 of users from their table rows."""

    @abstractmethod
    def item_inputs(self, rows: Rows, features: Mapping[str, Feature]) -> Tensor:
        """[i, X] layer 0 of items from their table rows and contents."""

    def layer(self, index: int, x: Tensor, neighbors: Tensor) -> Tensor:
        """Layer `index` (1..L), [n, X], from the nodes' last layer `x` and the weighted sum over their neighbours."""
        return neighbors

    def source_weight(self, degrees: Tensor) -> Tensor:
        """A neighbour's factor in the sum, by its degree (floating point): `1 / sqrt(deg)`, 0 for isolated nodes."""
        return (degrees > 0) * degrees.clamp(min=1).rsqrt()

    def target_weight(self, degrees: Tensor) -> Tensor:
        """A node's own factor in the sum over its neighbours, by its degree."""
        return self.source_weight(degrees)

    @abstractmethod
    def readout_users(self, layers: list[Tensor], rows: Rows) -> Tensor:
        """[u, d] from layers 0..L, each [u, X]: the representation, but for what co-users add."""

    @abstractmethod
    def readout_items(self, layers: list[Tensor], rows: Rows) -> Tensor:
        """[i, d] representation from layers 0..L."""

    @abstractmethod
    def loss(
        self, positive_scores: Tensor, negative_scores: Tensor, users: Rows, positives: Rows, negatives: Rows
    ) -> Tensor:
        """[B] loss of each interaction, penalties included, from its scores [B] and table rows (part -> [B, width])."""

    def forward(self, batch: Batch, user_rows: Rows, item_rows: Rows) -> Tensor:
        """[B] loss of each interaction of the batch: the mean over the GLOBAL batch is what training minimises.

        Args:
            user_rows: part -> [u, width] of `batch.around.subgraph.users`.
            item_rows: part -> [i, width] of `batch.around.subgraph.items`.
        """
        users, items = self.represent(batch.around, user_rows, item_rows)
        positives, negatives = items[batch.positives], items[batch.negatives]
        users_of_batch = users[batch.users]
        return self.loss(
            (users_of_batch * positives).sum(-1),
            (users_of_batch * negatives).sum(-1),
            {name: rows[batch.users] for name, rows in user_rows.items()},
            {name: rows[batch.positives] for name, rows in item_rows.items()},
            {name: rows[batch.negatives] for name, rows in item_rows.items()},
        )

    def represent(self, around: Neighborhood, user_rows: Rows, item_rows: Rows) -> tuple[Tensor, Tensor]:
        """Representations of the wanted users and items, [u, d] and [i, d]."""
        graph = around.subgraph
        user_layers = [self.user_inputs(user_rows)]
        item_layers = [self.item_inputs(item_rows, around.features)]
        user_degrees, item_degrees = (x.to(item_layers[0].dtype) for x in (graph.user_degrees, graph.item_degrees))
        user_weight, item_weight = self.source_weight(user_degrees), self.source_weight(item_degrees)
        user_target, item_target = self.target_weight(user_degrees), self.target_weight(item_degrees)
        for index, hop in enumerate(reversed(graph.hops), start=1):
            users, items = user_layers[-1], item_layers[-1]
            to_users = _estimate(hop.to_users, hop.user_scale, item_weight, user_target, items)
            to_items = _estimate(hop.to_items, hop.item_scale, user_weight, item_target, users)
            user_layers.append(self.layer(index, users[: len(to_users)], to_users))
            item_layers.append(self.layer(index, items[: len(to_items)], to_items))
        num_users, num_items = graph.user_reach[0], graph.item_reach[0]
        users = self.readout_users([x[:num_users] for x in user_layers], _first(user_rows, num_users))
        items = self.readout_items([x[:num_items] for x in item_layers], _first(item_rows, num_items))
        if around.co_users is not None:
            users = users[: around.co_users.shape[0]] + neighbor_sum(around.co_users, users)
        return users, items


def _estimate(edges: SparseRows, scale: Tensor, source_weight: Tensor, target_weight: Tensor, x: Tensor) -> Tensor:
    """The weighted sum over all neighbours, estimated from the drawn ones: true degrees, scaled by degree / drawn."""
    num_targets, num_sources = edges.shape
    weighted = x * source_weight[:num_sources].unsqueeze(1)
    return neighbor_sum(edges, weighted) * (target_weight[:num_targets] * scale).unsqueeze(1)


def _first(rows: Rows, count: int) -> Rows:
    return {name: values[:count] for name, values in rows.items()}
