"""Every model at full fanout equals the dense reference of `dense_reference.py`: values, loss and gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from dense_reference import star_gcn_blocks
from torch import Tensor

from dualgnn_dist.base.batch import Batch, to_dtype
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.models import MODELS, Recommender
from dualgnn_dist.sampling.config import SamplerConfig
from dualgnn_dist.sampling.loader import Loader
from dualgnn_dist.training.state import sizes_of

Reference = Callable[..., tuple[Tensor, Tensor]]
FULL = SamplerConfig(batch_size=64, fanouts="all", co_users="all")

VARIANTS = [
    ("bpr_mf", {}),
    ("lightgcn", {}),
    ("lightgcn", {"num_layers": 3}),
    ("lr_gccf", {}),
    ("lr_gccf", {"num_layers": 1}),
    ("star_gcn", {}),
    ("star_gcn", {"num_blocks": 3}),
    ("vbpr", {}),
    ("mmgcn", {}),
    ("mmgcn", {"latent_width": 6, "combine": "concat", "num_layers": 2}),
    ("mmgcn", {"latent_width": None, "num_layers": 1}),
    *(("dualgnn", {"fusion": fusion}) for fusion in ("weighted_sum", "mean", "max", "concat_mlp")),
    *(("dualgnn", {"neighbor_weighting": weighting}) for weighting in ("mean", "count")),
    ("dualgnn", {"max_co_users": 0}),
    ("dualgnn", {"max_co_users": 3, "num_layers": 1}),
]


# One negative or several: the loss is written for both.
@pytest.fixture(params=[1, 3], ids="{} negatives".format)
def full(request: pytest.FixtureRequest) -> SamplerConfig:
    return replace(FULL, num_negatives=request.param)


@pytest.fixture(params=VARIANTS, ids=str)
def model(request: pytest.FixtureRequest, demo_store: Store) -> Recommender:
    name, settings = request.param
    torch.manual_seed(3)
    made = MODELS[name](MODELS[name].Config(width=8, **settings), sizes_of(demo_store, None))
    made.name = name
    return made.double()


def test_full_fanout_equals_the_dense_reference(
    model: Recommender, full: SamplerConfig, demo_store: Store, dense_references: dict[str, Reference]
) -> None:
    represent = dense_references[model.name]
    loader = Loader(demo_store, model, full, 5, World())
    tables = {side: _table(parts) for side, parts in _parts(model, demo_store).items()}
    for step in range(2):
        batch = to_dtype(loader.batch(0, step), torch.float64)
        rows = [side_by_side(tables[side], nodes.long()) for side, nodes in _nodes(batch)]
        ours = model(batch, *rows)
        reference = dense_losses(model, demo_store, represent, tables, batch)
        torch.testing.assert_close(ours, reference, rtol=1e-6, atol=1e-7)

        leaves = [*model.parameters(), *tables["users"].values(), *tables["items"].values()]
        gradients = torch.autograd.grad(ours.mean(), leaves, allow_unused=True)
        expected = torch.autograd.grad(reference.mean(), leaves, allow_unused=True)
        for gradient, other in zip(gradients, expected, strict=True):
            assert gradient is not None, "a parameter that the loss does not reach"
            torch.testing.assert_close(gradient, other, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("side", ["users", "items"])
def test_an_exclusion_changes_the_graph_by_the_positive_edges_alone(side: str, demo_store: Store) -> None:
    """Of the seeds of both sides: a positive edge that one of them kept would tell the answer."""
    model = MODELS["lightgcn"](MODELS["lightgcn"].Config(width=8), sizes_of(demo_store, None))
    batch = Loader(demo_store, model, replace(FULL, exclude_positives=True), 5, World()).batch(0, 0)
    graph = batch.around.subgraph
    hop, users, items = graph.hops[0], graph.users.numpy(), graph.items.numpy()
    positives = {(int(users[u]), int(items[i])) for u, i in zip(batch.users, batch.positives, strict=True)}
    if side == "users":
        seeds = users[: graph.user_reach[0]]
        sampled = {(int(users[t]), int(items[n])) for t, n in _edges(hop.to_users)}
        stored = {(int(user), int(item)) for user in seeds for item in demo_store.user_item.row(user)}
    else:
        seeds = items[: graph.item_reach[0]]
        sampled = {(int(users[n]), int(items[t])) for t, n in _edges(hop.to_items)}
        stored = {(int(user), int(item)) for item in seeds for user in demo_store.item_user.row(item)}
    assert positives < stored, "each seed of a positive edge has others"
    assert sampled == stored - positives


def _edges(matrix: Any) -> list[tuple[int, int]]:
    """(target, source) positions of every entry."""
    targets = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.offsets.numpy()))
    return list(zip(targets.tolist(), matrix.sources.tolist(), strict=True))


def side_by_side(parts: dict[str, Tensor], nodes: Tensor) -> Tensor | None:
    """Table rows as a model gets them, [n, W]."""
    return torch.cat([values[nodes] for values in parts.values()], dim=1) if parts else None


def dense_losses(model: Recommender, store: Store, represent: Reference, tables: dict, batch: Batch) -> Tensor:
    """[B] losses, each the mean over the interaction's negatives, from the representations of all users and items."""
    z = represent(model, store, tables)
    by_negative = []
    for negatives in batch.negatives.unbind(1):
        nodes = {
            "user": batch.around.subgraph.users[batch.users].long(),
            "positive": batch.around.subgraph.items[batch.positives].long(),
            "negative": batch.around.subgraph.items[negatives].long(),
        }
        by_negative.append(_triple_losses(model, store, z, tables, nodes))
    return torch.stack(by_negative).mean(0)


def _triple_losses(model: Recommender, store: Store, z: tuple, tables: dict, nodes: dict[str, Tensor]) -> Tensor:
    users, positives, negatives = nodes["user"], nodes["positive"], nodes["negative"]
    losses, rate = _bpr(*z, nodes), model.config.regularization
    user, item = tables["users"], tables["items"]
    squares = sum((part[users] ** 2).sum(1) for part in user.values())
    squares = squares + sum((part[nodes] ** 2).sum(1) for part in item.values() for nodes in (positives, negatives))
    if model.name == "dualgnn":
        return losses / math.log(2) + rate * sum((part[users] ** 2).mean(1) for part in user.values())
    if model.name == "lightgcn":
        return losses + rate * 0.5 * squares
    if model.name == "lr_gccf":
        output = (z[0][users] ** 2).sum(1) + (z[1][positives] ** 2).sum(1) + (z[1][negatives] ** 2).sum(1)
        return losses + rate * output
    if model.name == "vbpr":
        return losses + rate * (squares + (model.map[0].weight ** 2).sum() + (model.map[2].weight ** 2).sum())
    if model.name == "star_gcn":
        num_users = store.manifest.num_users
        blocks = [_bpr(x[:num_users], x[num_users:], nodes) for x in star_gcn_blocks(model, store, tables)]
        maps = (model.encode, model.hidden, model.decode)
        return sum(blocks) / len(blocks) + rate * (squares + sum((linear.weight**2).sum() for linear in maps))
    assert model.name in ("bpr_mf", "mmgcn")
    return losses + rate * squares


def _bpr(z_users: Tensor, z_items: Tensor, nodes: dict[str, Tensor]) -> Tensor:
    difference = (z_users[nodes["user"]] * (z_items[nodes["positive"]] - z_items[nodes["negative"]])).sum(1)
    return -torch.log(torch.sigmoid(difference))


def _parts(model: Recommender, store: Store) -> dict:
    return {
        "users": (store.manifest.num_users, model.user_parts),
        "items": (store.manifest.num_items, model.item_parts),
    }


def _table(described: tuple) -> dict[str, Tensor]:
    num_rows, parts = described
    generator = torch.Generator().manual_seed(9)
    return {
        name: torch.randn(num_rows, part.width, generator=generator, dtype=torch.float64).requires_grad_()
        for name, part in parts.items()
    }


def _nodes(batch: Batch) -> list[tuple[str, Tensor]]:
    return [("users", batch.around.subgraph.users), ("items", batch.around.subgraph.items)]


def test_every_model_has_a_reference(dense_references: dict[str, Reference]) -> None:
    assert dense_references.keys() == MODELS.keys()
