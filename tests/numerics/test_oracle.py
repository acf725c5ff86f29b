"""Every model at full fanout equals a dense reference, written here from its formulas: values, loss and gradients."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dualgnn_dist.loader import Loader, SamplerConfig, gather_features
from dualgnn_dist.models import MODELS, Recommender
from dualgnn_dist.state import sizes_of
from dualgnn_dist.store.reader import Store
from dualgnn_dist.types import Batch, to_dtype
from dualgnn_dist.world import World

FULL = SamplerConfig(batch_size=64, fanouts="all", co_users="all")

VARIANTS = [
    ("bpr_mf", {}),
    ("lightgcn", {}),
    ("lightgcn", {"num_layers": 3}),
    *(("dualgnn", {"fusion": fusion}) for fusion in ("weighted_sum", "mean", "max", "concat_mlp")),
    *(("dualgnn", {"neighbor_weighting": weighting}) for weighting in ("mean", "count")),
    ("dualgnn", {"max_co_users": 0}),
    ("dualgnn", {"max_co_users": 3, "num_layers": 1}),
]


@pytest.fixture(params=VARIANTS, ids=str)
def model(request: pytest.FixtureRequest, demo_store: Store) -> Recommender:
    name, settings = request.param
    torch.manual_seed(3)
    made = MODELS[name](MODELS[name].Config(width=8, **settings), sizes_of(demo_store, None))
    made.name = name
    return made.double()


def test_full_fanout_equals_the_dense_reference(model: Recommender, demo_store: Store) -> None:
    loader = Loader(demo_store, model, FULL, 5, World())
    tables = {side: _table(parts) for side, parts in _parts(model, demo_store).items()}
    for step in range(2):
        batch = to_dtype(loader.batch(0, step), torch.float64)
        rows = [{part: values[nodes.long()] for part, values in tables[side].items()} for side, nodes in _nodes(batch)]
        ours = model(batch, *rows)
        reference = dense_losses(model, demo_store, tables, batch)
        torch.testing.assert_close(ours, reference, rtol=1e-6, atol=1e-7)

        leaves = [*model.parameters(), *tables["users"].values(), *tables["items"].values()]
        gradients = torch.autograd.grad(ours.mean(), leaves, allow_unused=True)
        expected = torch.autograd.grad(reference.mean(), leaves, allow_unused=True)
        for gradient, other in zip(gradients, expected, strict=True):
            assert gradient is not None, "a parameter that the loss does not reach"
            torch.testing.assert_close(gradient, other, rtol=1e-5, atol=1e-8)


def test_an_exclusion_changes_the_graph_by_the_positive_edges_alone(demo_store: Store) -> None:
    model = MODELS["lightgcn"](MODELS["lightgcn"].Config(width=8), sizes_of(demo_store, None))
    batch = Loader(demo_store, model, replace(FULL, exclude_positives=True), 5, World()).batch(0, 0)
    first = batch.around.subgraph.hops[0].to_users
    pairs = set()
    for user in range(first.shape[0]):
        for edge in range(first.offsets[user], first.offsets[user + 1]):
            pairs.add((int(batch.around.subgraph.users[user]), int(batch.around.subgraph.items[first.sources[edge]])))
    users, items = batch.around.subgraph.users, batch.around.subgraph.items
    positives = {(int(users[u]), int(items[i])) for u, i in zip(batch.users, batch.positives, strict=True)}
    seeds = {int(user) for user in users[: batch.around.subgraph.user_reach[0]]}
    all_edges = {(user, int(item)) for user in seeds for item in demo_store.user_item.row(user)}
    assert pairs == all_edges - positives


def dense_losses(model: Recommender, store: Store, tables: dict, batch: Batch) -> Tensor:
    """[B] losses from dense matrices over the whole graph."""
    users, positives = (
        batch.around.subgraph.users[batch.users].long(),
        batch.around.subgraph.items[batch.positives].long(),
    )
    negatives = batch.around.subgraph.items[batch.negatives].long()
    z_users, z_items = REFERENCES[model.name](model, store, tables)
    difference = (z_users[users] * (z_items[positives] - z_items[negatives])).sum(1)
    losses = -torch.log(torch.sigmoid(difference))
    rate = model.config.regularization
    if model.name == "dualgnn":
        squares = sum((table[users] ** 2).mean(1) for table in tables["users"].values())
        return losses / math.log(2) + rate * squares
    user, item = tables["users"]["embedding"], tables["items"]["embedding"]
    squares = (user[users] ** 2).sum(1) + (item[positives] ** 2).sum(1) + (item[negatives] ** 2).sum(1)
    return losses + rate * squares * (0.5 if model.name == "lightgcn" else 1.0)


def dense_bpr_mf(model: Recommender, store: Store, tables: dict) -> tuple[Tensor, Tensor]:
    return tables["users"]["embedding"], tables["items"]["embedding"]


def dense_lightgcn(model: Recommender, store: Store, tables: dict) -> tuple[Tensor, Tensor]:
    layers = _propagate(store, torch.cat([tables["users"]["embedding"], tables["items"]["embedding"]]), model.num_hops)
    z = sum(layers) / len(layers)
    return z[: store.manifest.num_users], z[store.manifest.num_users :]


def dense_dualgnn(model: Recommender, store: Store, tables: dict) -> tuple[Tensor, Tensor]:
    num_users = store.manifest.num_users
    features = to_dtype(
        gather_features({name: store.features(name) for name in model.modalities}, _all_items(store)), torch.float64
    )
    by_modality = []
    for name in model.modalities:
        content, feature, tower = [], features[name], model.towers[name]
        if feature.values is not None:
            content = feature.values
        else:
            for item in range(store.manifest.num_items):
                words = tower.words.weight[feature.tokens[feature.offsets[item] : feature.offsets[item + 1]]]
                content.append(words.mean(0) if len(words) else torch.zeros(words.shape[1], dtype=torch.float64))
            content = torch.stack(content)
        first, second = tower.map[0], tower.map[2]
        hidden = functional.leaky_relu(content @ first.weight.T + first.bias, 0.01)
        item = functional.normalize(hidden @ second.weight.T + second.bias)
        item = torch.where(feature.present[:, None], item, 0.0)
        user = functional.normalize(tables["users"][f"preference_{name}"])
        by_modality.append(sum(_propagate(store, torch.cat([user, item]), model.num_hops)))
    items = sum(r[num_users:] for r in by_modality)
    g = _fuse(model, tables["users"].get("fusion"), [r[:num_users] for r in by_modality])
    return g + _co_user_matrix(model, store) @ g, items


def _fuse(model: Recommender, weights: Tensor | None, by_modality: list[Tensor]) -> Tensor:
    if model.config.fusion == "mean":
        return sum(by_modality) / len(by_modality)
    weighted = [weights[:, m, None] * r for m, r in enumerate(by_modality)]
    if model.config.fusion == "weighted_sum":
        return sum(weighted)
    if model.config.fusion == "max":
        return torch.stack(weighted).max(0).values
    return torch.cat(weighted, 1) @ model.mix.weight.T + model.mix.bias


def _co_user_matrix(model: Recommender, store: Store) -> Tensor:
    """s(u, v), from a brute-force count of shared items."""
    num_users = store.manifest.num_users
    adjacency = _adjacency(store)
    shared = (adjacency @ adjacency.T).fill_diagonal_(0)
    matrix = torch.zeros(num_users, num_users, dtype=torch.float64)
    for user in range(num_users):
        order = sorted(range(num_users), key=lambda other, row=shared[user]: (-row[other], other))
        kept = [other for other in order[: model.config.max_co_users] if shared[user, other] > 0]
        counts = shared[user, kept]
        weighting = model.config.neighbor_weighting
        if weighting == "softmax" and kept:
            matrix[user, kept] = torch.softmax(counts, 0)
        elif kept:
            matrix[user, kept] = 1.0 / len(kept) if weighting == "mean" else counts / counts.sum()
    return matrix


def _propagate(store: Store, x: Tensor, num_layers: int) -> list[Tensor]:
    adjacency = _adjacency(store)
    num_users, num_items = adjacency.shape
    full = torch.zeros(num_users + num_items, num_users + num_items, dtype=torch.float64)
    full[:num_users, num_users:], full[num_users:, :num_users] = adjacency, adjacency.T
    degrees = full.sum(1)
    scale = torch.where(degrees > 0, degrees**-0.5, 0.0)
    layers = [x]
    for _ in range(num_layers):
        layers.append((scale[:, None] * full * scale[None, :]) @ layers[-1])
    return layers


def _adjacency(store: Store) -> Tensor:
    adjacency = torch.zeros(store.manifest.num_users, store.manifest.num_items, dtype=torch.float64)
    for user in range(store.manifest.num_users):
        adjacency[user, torch.from_numpy(store.user_item.row(user).copy()).long()] = 1
    return adjacency


def _all_items(store: Store) -> object:
    return torch.arange(store.manifest.num_items, dtype=torch.int32).numpy()


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


REFERENCES = {"bpr_mf": dense_bpr_mf, "lightgcn": dense_lightgcn, "dualgnn": dense_dualgnn}


def test_every_model_has_a_reference() -> None:
    assert REFERENCES.keys() == MODELS.keys()
