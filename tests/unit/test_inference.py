"""Exact inference is the dense product of matrices, whatever the blocks and the number of workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor
from torch.nn import functional

from dualgnn_dist import inference
from dualgnn_dist.config import RunConfig, load
from dualgnn_dist.inference import infer
from dualgnn_dist.loader import gather_features
from dualgnn_dist.state import TrainingState, make_state
from dualgnn_dist.store.reader import Store
from dualgnn_dist.world import World

RUNS = [
    ("bpr_mf", []),
    ("lightgcn", ["model.num_layers=3"]),
    ("dualgnn", []),
    ("dualgnn", ["model.fusion=concat_mlp", "model.neighbor_weighting=count", "model.max_co_users=5"]),
    ("dualgnn", ["model.fusion=mean", "model.max_co_users=0", "data.modalities=[textual]"]),
]


def make_config(name: str, overrides: list[str], store: Store, folder: Path) -> RunConfig:
    values = {"data": {"store": str(store.path)}, "model": {"name": name, "width": 8}, "run": {"name": "run"}}
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    return load(folder / "config.yaml", overrides)


def represent(world: World, config: RunConfig, block: int) -> tuple[Tensor, Tensor, Tensor]:
    inference.BLOCK = block
    store = Store.open(config.data.store)
    state = make_state(config, store, world)
    found = infer(state.model, state.tables, store, world)
    assert found.users.dtype == found.items.dtype == torch.float32 and not found.users.requires_grad
    return found.user_rows, found.users, found.items


@pytest.mark.parametrize("block", [7, 16_384])
@pytest.mark.parametrize(("name", "overrides"), RUNS, ids=str)
def test_it_is_the_dense_product(
    name: str, overrides: list[str], block: int, demo_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "BLOCK", block)
    config = make_config(name, overrides, demo_store, tmp_path)
    rows, users, items = represent(World(), config, block)
    assert rows.tolist() == list(range(demo_store.manifest.num_users))
    expected_users, expected_items = REFERENCES[name](make_state(config, demo_store, World()), demo_store)
    torch.testing.assert_close(users, expected_users.float(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(items, expected_items.float(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["lightgcn", "dualgnn"])
def test_two_workers_find_what_one_does(
    name: str, demo_store: Store, tmp_path: Path, run_workers: Callable[..., list[Any]]
) -> None:
    config = make_config(name, [], demo_store, tmp_path)
    state = make_state(config, demo_store, World())
    expected = infer(state.model, state.tables, demo_store, World())
    for rank, (rows, users, items) in enumerate(run_workers(represent, 2, config, 7)):
        assert rows.tolist() == list(range(rank, demo_store.manifest.num_users, 2))
        torch.testing.assert_close(users, expected.users[rows], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(items, expected.items, rtol=1e-5, atol=1e-6)


def table(state: TrainingState, side: str, part: str) -> Tensor:
    return state.tables[side].local_rows()[1][:, state.tables[side].columns[part]].double()


def dense_bpr_mf(state: TrainingState, store: Store) -> tuple[Tensor, Tensor]:
    return table(state, "users", "embedding"), table(state, "items", "embedding")


def dense_lightgcn(state: TrainingState, store: Store) -> tuple[Tensor, Tensor]:
    layers = propagate(store, *dense_bpr_mf(state, store), state.model.num_hops)
    return tuple(torch.stack(side).mean(0) for side in zip(*layers, strict=True))  # type: ignore[return-value]


def dense_dualgnn(state: TrainingState, store: Store) -> tuple[Tensor, Tensor]:
    model = state.model
    every_item = np.arange(store.manifest.num_items, dtype=np.int32)
    by_modality = []
    with torch.no_grad():
        for name in model.modalities:
            item = model.towers[name](gather_features({name: store.features(name)}, every_item)[name]).double()
            user = functional.normalize(table(state, "users", f"preference_{name}"))
            layers = propagate(store, user, item, model.num_hops)
            by_modality.append([sum(side) for side in zip(*layers, strict=True)])
        items = sum(item for _, item in by_modality)
        users = torch.stack([user for user, _ in by_modality], dim=1)
        if model.config.fusion == "mean":
            g = users.mean(1)
        else:
            weighted = users * table(state, "users", "fusion")[:, :, None]
            g = weighted.sum(1) if model.config.fusion == "weighted_sum" else model.mix.double()(weighted.flatten(1))
        return g + co_user_matrix(model, store) @ g, items


def co_user_matrix(model: Any, store: Store) -> Tensor:
    matrix = torch.zeros(store.manifest.num_users, store.manifest.num_users, dtype=torch.float64)
    for user in range(len(matrix)):
        kept = torch.from_numpy(store.user_cooccurrence.row(user)[: model.config.max_co_users].astype(np.int64))
        counts = torch.from_numpy(store.user_cooccurrence.row_counts(user)[: len(kept)].astype(np.float64))
        if len(kept):
            softmax = model.config.neighbor_weighting == "softmax"
            matrix[user, kept] = torch.softmax(counts, 0) if softmax else counts / counts.sum()
    return matrix


def propagate(store: Store, users: Tensor, items: Tensor, num_layers: int) -> list[tuple[Tensor, Tensor]]:
    adjacency = torch.zeros(store.manifest.num_users, store.manifest.num_items, dtype=torch.float64)
    train = store.interactions("train")
    adjacency[train.users.to_numpy(), train.items.to_numpy()] = 1
    scales = [torch.where(degrees > 0, degrees**-0.5, 0.0) for degrees in (adjacency.sum(1), adjacency.sum(0))]
    weights = scales[0][:, None] * adjacency * scales[1]
    layers = [(users, items)]
    for _ in range(num_layers):
        users, items = weights @ items, weights.T @ users
        layers.append((users, items))
    return layers


REFERENCES = {"bpr_mf": dense_bpr_mf, "lightgcn": dense_lightgcn, "dualgnn": dense_dualgnn}
