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

from dualgnn_dist.base.batch import to_dtype
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.models import Recommender


@pytest.fixture(scope="session")
def dense_references() -> dict[str, Callable[..., tuple[Tensor, Tensor]]]:
    """Model name -> `reference(model, store, tables)`: float64 representations of all users [U, d] and items [I, d].

    `tables` holds side -> part -> float64 [rows, width]; the model is in float64 too.
    """
    return {
        "bpr_mf": dense_bpr_mf,
        "vbpr": dense_vbpr,
        "lightgcn": dense_lightgcn,
        "lr_gccf": dense_lr_gccf,
        "star_gcn": dense_star_gcn,
        "mmgcn": dense_mmgcn,
        "dualgnn": dense_dualgnn,
    }


def dense_bpr_mf(model: Recommender, store: Store, tables: dict) -> tuple[Tensor, Tensor]:
    return tables["users"]["embedding"], tables["items"]["embedding"]


def dense_lightgcn(model: Recommender, store: Store, tables: dict) -> tuple[Tensor, Tensor]:
    layers = _propagate(store, torch.cat([tables["users"]["embedding"], tables["items"]["embedding"]]), model.num_hops)
    return _halves(sum(layers) / len(layers), store)


def dense_lr_gccf(model: Recommender, store: Store, tables: dict) -> tuple[Tensor, Tensor]:
    full = _graph(store)
    loops = full + torch.eye(len(full), dtype=torch.float64)
    scale = loops.sum(1) ** -0.5
    layers = [torch.cat([tables["users"]["embedding"], tables["items"]["embedding"]])]
    for _ in range(model.config.num_layers):
        layers.append((scale[:, None] * loops * scale[None, :]) @ layers[-1])
    return _halves(torch.cat(layers, 1), store)


def star_gcn_blocks(model: Recommender, store: Store, tables: dict) -> list[Tensor]:
    """The output of every block over all users, then all items."""
    x, blocks = torch.cat([tables["users"]["embedding"], tables["items"]["embedding"]]), []
    for _ in range(model.config.num_blocks):
        encoded = functional.leaky_relu(_propagate(store, x, 1)[1], 0.1) @ model.encode.weight.T
        x = functional.leaky_relu(encoded @ model.hidden.weight.T, 0.1) @ model.decode.weight.T
        blocks.append(x)
    return blocks


def dense_star_gcn(model: Recommender, store: Store, tables: dict) -> tuple[Tensor, Tensor]:
    return _halves(star_gcn_blocks(model, store, tables)[-1], store)


def dense_vbpr(model: Recommender, store: Store, tables: dict) -> tuple[Tensor, Tensor]:
    contents, presents = zip(*(_content(model.contents[name], name, store) for name in model.modalities), strict=True)
    mapped = _two_layers(model.map, torch.cat(contents, 1))
    mapped = torch.where(torch.stack(presents).any(0)[:, None], mapped, 0.0)
    return tables["users"]["embedding"], torch.cat([tables["items"]["embedding"], mapped], 1)


def dense_mmgcn(model: Recommender, store: Store, tables: dict) -> tuple[Tensor, Tensor]:
    full = _graph(store)
    mean = full / full.sum(1, keepdim=True).clamp(min=1)
    identity = torch.cat([tables["users"]["identity"], tables["items"]["identity"]])
    by_modality = []
    for name in model.modalities:
        content, present = _content(model.inputs[name].content, name, store)
        if model.config.latent_width is not None and content.shape[1] > model.config.latent_width:
            content = content @ model.inputs[name].map.weight.T + model.inputs[name].map.bias
        item = torch.where(present[:, None], functional.normalize(content), 0.0)
        x = torch.cat([functional.normalize(tables["users"][f"preference_{name}"]), item])
        for layer in model.convolutions[name].layers:
            hidden = functional.leaky_relu(mean @ (x @ layer.aggregate.weight.T), 0.01)
            side = functional.leaky_relu(x @ layer.side.weight.T + layer.side.bias, 0.01) + identity
            if model.config.combine == "concat":
                x = functional.leaky_relu(torch.cat([hidden, side], 1) @ layer.join.weight.T + layer.join.bias, 0.01)
            else:
                x = functional.leaky_relu(hidden @ layer.join.weight.T + layer.join.bias + side, 0.01)
        by_modality.append(x)
    return _halves(sum(by_modality) / len(by_modality), store)


def dense_dualgnn(model: Recommender, store: Store, tables: dict) -> tuple[Tensor, Tensor]:
    num_users = store.manifest.num_users
    by_modality = []
    for name in model.modalities:
        content, present = _content(model.towers[name].content, name, store)
        item = functional.normalize(_two_layers(model.towers[name].map, content))
        item = torch.where(present[:, None], item, 0.0)
        user = functional.normalize(tables["users"][f"preference_{name}"])
        by_modality.append(sum(_propagate(store, torch.cat([user, item]), model.num_hops)))
    items = sum(r[num_users:] for r in by_modality)
    g = _fuse(model, tables["users"].get("fusion"), [r[:num_users] for r in by_modality])
    return g + _co_user_matrix(model, store) @ g, items


def _content(module: torch.nn.Module, name: str, store: Store) -> tuple[Tensor, Tensor]:
    """The vectors of all items in one modality, and which items have it."""
    items = np.arange(store.manifest.num_items, dtype=np.int32)
    feature = to_dtype(store.features(name).gather(items), torch.float64)
    if feature.values is not None:
        return feature.values, feature.present
    content = []
    for item in items:
        words = module.words.weight[feature.tokens[feature.offsets[item] : feature.offsets[item + 1]]]
        content.append(words.mean(0) if len(words) else torch.zeros(words.shape[1], dtype=torch.float64))
    return torch.stack(content), feature.present


def _two_layers(layers: torch.nn.Sequential, x: Tensor) -> Tensor:
    hidden = functional.leaky_relu(x @ layers[0].weight.T + layers[0].bias, 0.01)
    return hidden @ layers[2].weight.T + (0 if layers[2].bias is None else layers[2].bias)


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
    full = _graph(store)
    degrees = full.sum(1)
    scale = torch.where(degrees > 0, degrees**-0.5, 0.0)
    layers = [x]
    for _ in range(num_layers):
        layers.append((scale[:, None] * full * scale[None, :]) @ layers[-1])
    return layers


def _graph(store: Store) -> Tensor:
    """1 at every training edge, in both directions, over all users, then all items."""
    adjacency = _adjacency(store)
    num_users, num_items = adjacency.shape
    full = torch.zeros(num_users + num_items, num_users + num_items, dtype=torch.float64)
    full[:num_users, num_users:], full[num_users:, :num_users] = adjacency, adjacency.T
    return full


def _halves(z: Tensor, store: Store) -> tuple[Tensor, Tensor]:
    return z[: store.manifest.num_users], z[store.manifest.num_users :]


def _adjacency(store: Store) -> Tensor:
    adjacency = torch.zeros(store.manifest.num_users, store.manifest.num_items, dtype=torch.float64)
    for user in range(store.manifest.num_users):
        adjacency[user, torch.from_numpy(store.user_item.row(user).copy()).long()] = 1
    return adjacency
