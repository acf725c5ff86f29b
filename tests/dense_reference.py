"""The dense reference: plain torch over the whole graph in float64, written from the formulas of the papers.

Nothing here is fast or shared with the package, but for reading the store. A plugin of `conftest.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dualgnn_dist.loader import gather_features
from dualgnn_dist.models import Recommender
from dualgnn_dist.store.reader import Store
from dualgnn_dist.types import to_dtype


@pytest.fixture(scope="session")
def dense_references() -> dict[str, Callable[..., tuple[Tensor, Tensor]]]:
    """Model name -> `reference(model, store, tables)`: float64 representations of all users [U, d] and items [I, d].

    `tables` holds side -> part -> float64 [rows, width]; the model is in float64 too.
    """
    return {"bpr_mf": dense_bpr_mf, "lightgcn": dense_lightgcn, "dualgnn": dense_dualgnn}


def dense_bpr_mf(model: Recommender, store: Store, tables: dict) -> tuple[Tensor, Tensor]:
    return tables["users"]["embedding"], tables["items"]["embedding"]


def dense_lightgcn(model: Recommender, store: Store, tables: dict) -> tuple[Tensor, Tensor]:
    layers = _propagate(store, torch.cat([tables["users"]["embedding"], tables["items"]["embedding"]]), model.num_hops)
    z = sum(layers) / len(layers)
    return z[: store.manifest.num_users], z[store.manifest.num_users :]


def dense_dualgnn(model: Recommender, store: Store, tables: dict) -> tuple[Tensor, Tensor]:
    num_users = store.manifest.num_users
    features = to_dtype(
        gather_features(
            {name: store.features(name) for name in model.modalities},
            np.arange(store.manifest.num_items, dtype=np.int32),
        ),
        torch.float64,
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
