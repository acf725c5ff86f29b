"""The rival of our models' code: DualGNN as one would write it with PyG's layers, on the same sampled batches.

`torch.nn.Embedding(sparse=True)` with `SparseAdam` for the tables, `SimpleConv` over edge lists for each modality.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import SimpleConv

from dualgnn_dist.base.batch import Batch
from dualgnn_dist.base.sparse import SparseRows


class PyGDualGNN(nn.Module):
    """See the module. `dimensions`: modality -> width of its features."""

    def __init__(self, num_users: int, dimensions: dict[str, int], width: int) -> None:
        super().__init__()
        self.names = tuple(dimensions)
        self.preferences = nn.ModuleDict({name: nn.Embedding(num_users, width, sparse=True) for name in self.names})
        self.fusion = nn.Embedding(num_users, len(self.names), sparse=True)
        self.towers = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Linear(d, 4 * width), nn.LeakyReLU(), nn.Linear(4 * width, width))
                for name, d in dimensions.items()
            }
        )
        self.conv = SimpleConv(aggr="sum")

    @torch.no_grad()
    def take_over(self, towers: nn.Module, rows: Tensor, columns: Mapping[str, slice]) -> None:
        """The values of our model: its towers, and its users' rows [U, width] with the columns of each part."""
        for name in self.names:
            self.towers[name].load_state_dict(towers.towers[name].map.state_dict())
            self.preferences[name].weight.copy_(rows[:, columns[f"preference_{name}"]])
        self.fusion.weight.copy_(rows[:, columns["fusion"]])

    def optimizers(self, learning_rate: float) -> list[torch.optim.Optimizer]:
        """One for the tables, one for the dense weights."""
        tables = [table.weight for table in (*self.preferences.values(), self.fusion)]
        return [
            torch.optim.SparseAdam(tables, learning_rate),
            torch.optim.Adam(self.towers.parameters(), learning_rate),
        ]

    def forward(self, batch: Batch, regularization: float) -> Tensor:
        """The mean loss over the batch."""
        graph, co_users = batch.around.subgraph, batch.around.co_users
        user_degrees, item_degrees = graph.user_degrees.float(), graph.item_degrees.float()
        edges = [
            (
                _edges(hop.to_users, item_degrees, user_degrees, hop.user_scale),
                _edges(hop.to_items, user_degrees, item_degrees, hop.item_scale),
            )
            for hop in reversed(graph.hops)
        ]
        seeds = graph.user_reach[0]
        users = graph.users.long()
        weights = self.fusion(users[:seeds])
        user_vectors, item_vectors, penalty = 0.0, 0.0, weights[batch.users].square().mean(1)
        for column, name in enumerate(self.names):
            feature = batch.around.features[name]
            rows = self.preferences[name](users)
            x_user = functional.normalize(rows)
            x_item = functional.normalize(self.towers[name](feature.values)) * feature.present.unsqueeze(1)
            sum_user, sum_item = x_user[:seeds], x_item[: graph.item_reach[0]]
            for to_users, to_items in edges:
                n_user, n_item = to_users[2], to_items[2]
                x_user, x_item = (
                    self.conv((x_item, x_user[:n_user]), to_users[0], to_users[1]),
                    self.conv((x_user, x_item[:n_item]), to_items[0], to_items[1]),
                )
                sum_user, sum_item = sum_user + x_user[:seeds], sum_item + x_item[: graph.item_reach[0]]
            user_vectors = user_vectors + sum_user * weights[:, column : column + 1]
            item_vectors = item_vectors + sum_item
            penalty = penalty + rows[batch.users].square().mean(1)
        if co_users is not None:
            index, _ = _index(co_users)
            size = (len(user_vectors), co_users.shape[0])
            own = user_vectors[: co_users.shape[0]]
            user_vectors = own + self.conv((user_vectors, own), index, co_users.values, size)
        u, p, n = user_vectors[batch.users], item_vectors[batch.positives], item_vectors[batch.negatives[:, 0]]
        loss = functional.softplus((u * n).sum(1) - (u * p).sum(1)) / torch.log(torch.tensor(2.0))
        return (loss + regularization * penalty).mean()


def _index(rows: SparseRows) -> tuple[Tensor, int]:
    """Sources and targets of every entry, int64 [2, E]."""
    targets = torch.arange(rows.shape[0]).repeat_interleave(rows.offsets.diff())
    return torch.stack([rows.sources.long(), targets]), rows.shape[0]


def _edges(
    rows: SparseRows, source_degrees: Tensor, target_degrees: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor, int]:
    index, num_targets = _index(rows)
    norm = source_degrees[index[0]].clamp(min=1).rsqrt() * target_degrees[index[1]].clamp(min=1).rsqrt()
    return index, norm * scale[index[1]], num_targets


def update(optimizers: Iterable[torch.optim.Optimizer], loss: Tensor) -> None:
    """One step of all."""
    optimizers = list(optimizers)
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
