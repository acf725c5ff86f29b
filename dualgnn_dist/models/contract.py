"""What a model is: functions of single rows. How rows meet along the graph is written once, here and in `inference`.

A model says what a node starts from, what a layer makes of a node and the sum over its neighbours, and what the layers
amount to. Training (`forward`, on a sampled subgraph) and ranking (`evaluation.inference`, on the whole graph) call the
same functions, so they cannot drift apart. A model holds the dense weights; the table rows come as arguments.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from dualgnn_dist.base.batch import Batch, Feature, Neighborhood, Sizes
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.sparse import SparseRows
from dualgnn_dist.base.table_part import TablePart
from dualgnn_dist.models.co_users import CoUsers
from dualgnn_dist.models.neighbor_sum import neighbor_sum_and_first, weighted
from dualgnn_dist.models.split_rows import split_rows

Rows = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What every model can be told.

    Args:
        width: d of the tables and the representations.
        regularization: of the squared table rows of each triple.
    """

    width: int = 64
    regularization: float = 1e-4

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width={self.width} must be at least 1")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, (int, float)) and value < 0:
                raise ValueError(f"{field.name}={value} must not be negative")


@dataclass(frozen=True)
class Nodes:
    """What a layer knows of n nodes beside their last layer.

    Args:
        rows: part -> [n, width], their table rows.
        degrees: floating point [n], in the whole training graph.
    """

    rows: Rows
    degrees: Tensor

    def first(self, count: int) -> Nodes:
        """The first `count` of them."""
        return Nodes({name: values[:count] for name, values in self.rows.items()}, self.degrees[:count])


class Picked:
    """One node for each of T triples, such as their users: its parts are gathered when a loss asks for them.

    Args:
        positions: int64 [T] among the nodes of the other arguments.
        representations: [n, d].
        layers: 0..L, each [at least n, X].
        rows: part -> [at least n, width].
    """

    def __init__(self, positions: Tensor, representations: Tensor, layers: Sequence[Tensor], rows: Rows) -> None:
        self._positions, self._representations, self._layers, self._rows = positions, representations, layers, rows

    @cached_property
    def representation(self) -> Tensor:
        """[T, d]."""
        return self._representations[self._positions]

    @cached_property
    def rows(self) -> Rows:
        """Part -> [T, width]."""
        return {name: values[self._positions] for name, values in self._rows.items()}

    def layer(self, index: int) -> Tensor:
        """[T, X] of layer `index`."""
        return self._layers[index][self._positions]


class Recommender(nn.Module, ABC):
    """The contract. Legend: u, i nodes of a (sub)graph; X a layer's width; d the width of a representation; T triples.

    Class attributes:
        Config: the frozen dataclass of the model's own settings.
        learning_rate: what `optimizer.learning_rate: null` means for this model.
        needs_content: whether the model is undefined for data without modalities.

    Attributes:
        user_parts, item_parts: what a table row of a user or item consists of; empty where there is no table.
        modalities: names of the modalities that the model reads; a model that reads none cannot rank an item of which
            it has seen no interaction.
        num_hops: layers of propagation.
        co_users: how the co-occurrence graph is read, or None.

    Raises:
        UserError: the data has no modality and the model needs one.
    """

    Config: ClassVar[type[Any]]
    learning_rate: ClassVar[float] = 1e-3
    needs_content: ClassVar[bool] = False

    user_parts: Mapping[str, TablePart]
    item_parts: Mapping[str, TablePart]
    modalities: tuple[str, ...] = ()
    num_hops: int = 0
    co_users: CoUsers | None = None

    def __init__(self, config: Any, sizes: Sizes) -> None:
        super().__init__()
        self.config = config
        self.user_parts, self.item_parts = {}, {}
        if self.needs_content:
            self.modalities = tuple(sizes.modalities)
            if not sizes.modalities:
                raise UserError(
                    f"{type(self).__name__} reads item content and this data has no modality; name some under "
                    "prepare.modalities, or use a model of interactions alone: model.name=lightgcn"
                )

    @abstractmethod
    def user_inputs(self, rows: Rows) -> Tensor:
        """[u, X] layer 0 of users from their table rows."""

    @abstractmethod
    def item_inputs(self, rows: Rows, features: Mapping[str, Feature]) -> Tensor:
        """[i, X] layer 0 of items from their table rows and contents."""

    def layer(self, index: int, x: Tensor, neighbors: Tensor, nodes: Nodes) -> Tensor:
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
    def loss(self, users: Picked, positives: Picked, negatives: Picked) -> Tensor:
        """[T] loss of each triple, penalties included."""

    def modality_weights(self, rows: Rows) -> Tensor | None:
        """[u, M] how users weigh the `modalities`, for people to look at; None where a model has no such weights."""
        return None

    def forward(self, batch: Batch, user_rows: Tensor | None, item_rows: Tensor | None) -> Tensor:
        """[B] loss of each interaction of the batch: the mean over the GLOBAL batch is what training minimises.

        An interaction makes as many triples as it has negatives, and its loss is their mean.

        Args:
            user_rows: [u, W], the table rows of `batch.around.subgraph.users`: the `user_parts` side by side. None
                where there are no parts.
            item_rows: [i, W] of `batch.around.subgraph.items`.
        """
        users, items = self._propagate(batch.around, user_rows, item_rows)
        triples = batch.negatives.shape
        users_of, positives_of = (x.unsqueeze(1).expand(triples).flatten() for x in (batch.users, batch.positives))
        losses = self.loss(
            Picked(users_of, *users),
            Picked(positives_of, *items),
            Picked(batch.negatives.flatten(), *items),
        )
        return losses.view(triples).mean(1)

    def represent(
        self, around: Neighborhood, user_rows: Tensor | None, item_rows: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Representations of the wanted users and items, [u, d] and [i, d]."""
        users, items = self._propagate(around, user_rows, item_rows)
        return users.representations, items.representations

    def _propagate(
        self, around: Neighborhood, user_rows: Tensor | None, item_rows: Tensor | None
    ) -> tuple[_Seeds, _Seeds]:
        """Layer l is of the nodes within L - l hops of the seeds; what remains are the seeds' layers."""
        graph = around.subgraph
        users = _Side(self, user_rows, self.user_parts, graph.user_reach[0])
        items = _Side(self, item_rows, self.item_parts, graph.item_reach[0])
        user_inputs, item_inputs = self.user_inputs(users.rows), self.item_inputs(items.rows, around.features)
        users.start(user_inputs, graph.user_degrees.to(item_inputs.dtype))
        items.start(item_inputs, graph.item_degrees.to(item_inputs.dtype))
        for index, hop in enumerate(reversed(graph.hops), start=1):
            to_users = _estimate(hop.to_users, hop.user_scale, items, users)
            to_items = _estimate(hop.to_items, hop.item_scale, users, items)
            sums_at_users = items.sum_and_shrink(to_users, num_kept=hop.to_items.shape[0])
            sums_at_items = users.sum_and_shrink(to_items, num_kept=hop.to_users.shape[0])
            users.step(index, sums_at_users)
            items.step(index, sums_at_items)
        user_vectors = self.readout_users(users.seed_layers, users.seed_rows)
        if around.co_users is not None:
            total, wanted = neighbor_sum_and_first(around.co_users, user_vectors, around.co_users.shape[0])
            user_vectors = wanted + total
        item_vectors = self.readout_items(items.seed_layers, items.seed_rows)
        return (
            _Seeds(user_vectors, users.seed_layers, users.seed_rows),
            _Seeds(item_vectors, items.seed_layers, items.seed_rows),
        )


class _Seeds(NamedTuple):
    """What is known of the seeds of one side: see `Picked`."""

    representations: Tensor
    layers: list[Tensor]
    rows: Rows


class _Side:
    """The users or the items of a subgraph on their way through the layers.

    Attributes:
        rows: part -> [n, width], the table rows of all; `seed_rows` of the seeds.
        source_weight, target_weight: [n], a node's factor in its neighbours' sums, and in its own.
    """

    def __init__(
        self, model: Recommender, table_rows: Tensor | None, parts: Mapping[str, TablePart], num_seeds: int
    ) -> None:
        self._model, self._num_seeds = model, num_seeds
        self.rows, self.seed_rows = split_rows(table_rows, parts, num_seeds)
        self._layers_before: list[Tensor] = []

    def start(self, inputs: Tensor, degrees: Tensor) -> None:
        """Takes layer 0 [n, X] and the degrees [n] of all nodes."""
        self._last, self._nodes = inputs, Nodes(self.rows, degrees)
        self.source_weight, self.target_weight = self._model.source_weight(degrees), self._model.target_weight(degrees)

    def sum_and_shrink(self, edges: SparseRows, num_kept: int) -> Tensor:
        """The sum over `edges`, whose sources are this side; only its first `num_kept` nodes have a next layer."""
        total, self._last, of_seeds = neighbor_sum_and_first(edges, self._last, num_kept, self._num_seeds)
        self._layers_before.append(of_seeds)
        return total

    def step(self, index: int, neighbors: Tensor) -> None:
        """Goes on to layer `index` with the sums over the neighbours."""
        self._last = self._model.layer(index, self._last, neighbors, self._nodes.first(len(neighbors)))

    @property
    def seed_layers(self) -> list[Tensor]:
        """Layers 0 to that of the last step, [seeds, X]; after the last step nothing but seeds is left."""
        return [*self._layers_before, self._last]


def _estimate(edges: SparseRows, scale: Tensor, sources: _Side, targets: _Side) -> SparseRows:
    """The drawn edges, weighted so that their sum estimates that over all: true degrees, times degree / drawn."""
    num_targets, num_sources = edges.shape
    return weighted(edges, sources.source_weight[:num_sources], targets.target_weight[:num_targets] * scale)
