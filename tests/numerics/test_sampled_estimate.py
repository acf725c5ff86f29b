"""The mean over many samples meets the exact value within its standard error, coordinate by coordinate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from dualgnn_dist.base.csr import ShardedCSR
from dualgnn_dist.base.randomness import key
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.models import MODELS
from dualgnn_dist.models.co_users import CoUsers, exact_co_users
from dualgnn_dist.sampling.co_users import CoUserSampler
from dualgnn_dist.sampling.config import SamplerConfig
from dualgnn_dist.sampling.loader import Loader
from dualgnn_dist.sampling.wanted import Wanted
from dualgnn_dist.training.state import sizes_of

NUM_SAMPLES = 400
SAMPLED = SamplerConfig(fanouts=(3, 2), co_users=3)


@pytest.mark.parametrize(
    ("name", "settings", "sampler"),
    [
        ("lightgcn", {"num_layers": 2}, SAMPLED),
        ("lightgcn", {"num_layers": 3}, SAMPLED),  # walks return: a draw that served two layers would show here
        ("lr_gccf", {"num_layers": 3}, SAMPLED),
        ("dualgnn", {"neighbor_weighting": "count"}, SAMPLED),
        ("dualgnn", {"neighbor_weighting": "softmax", "fusion": "mean"}, SAMPLED),
        ("dualgnn", {"neighbor_weighting": "softmax"}, replace(SAMPLED, co_user_fanout=1)),
        ("lightgcn", {"num_layers": 3}, replace(SAMPLED, draws="shared")),
        ("dualgnn", {"neighbor_weighting": "count"}, replace(SAMPLED, draws="shared")),
    ],
)
def test_mean_over_samples_meets_the_exact_representation(
    name: str, settings: dict, sampler: SamplerConfig, demo_store: Store
) -> None:
    torch.manual_seed(0)
    model = MODELS[name](MODELS[name].Config(width=4, **settings), sizes_of(demo_store, None))
    tables = _tables(model, demo_store)
    exact_users, exact_items = _represent(model, demo_store, tables, replace(SAMPLED, fanouts="all", co_users="all"), 0)
    users, items = zip(
        *(_represent(model, demo_store, tables, sampler, seed) for seed in range(NUM_SAMPLES)), strict=True
    )
    for samples, exact in ((torch.stack(users), exact_users), (torch.stack(items), exact_items)):
        error = samples.std(0) / NUM_SAMPLES**0.5
        deviation = ((samples.mean(0) - exact) / error.clamp(min=1e-6))[error > 1e-6]
        assert len(deviation) > 50, "nothing was sampled"
        # For an unbiased estimate these are standard normal: their mean square is 1, and none is far out. With shared
        # draws the nodes of a sample err together, so there are fewer than it seems to take the mean of (over eight
        # times as many samples it was 0.6 to 1.6 a time, and 0.9 to 1.1 for all together).
        low, high = (0.4, 2.0) if sampler.draws == "shared" else (0.7, 1.4)
        assert deviation.abs().max() < 5
        assert low < deviation.square().mean() < high


def test_co_user_weights_are_exact_at_the_top_and_unbiased_in_the_tail() -> None:
    counts = np.array([9, 8, 8, 7, 7, 7, 6, 5, 3, 2], dtype=np.int32)
    graph = ShardedCSR.from_arrays(np.array([0, 10]), np.arange(1, 11), counts)
    user = np.zeros(1, dtype=np.int32)
    read = CoUsers(9, "count")
    exact = exact_co_users(graph, user, read)
    np.testing.assert_allclose(exact.weights, counts[:9] / counts[:9].sum(), rtol=1e-6)
    total = np.zeros(11)
    for step in range(4000):
        rows = CoUserSampler(graph, graph, read, 5).sample(user, key(1, 0, step, 3))
        assert rows.neighbors[:3].tolist() == [1, 2, 3] and len(rows.neighbors) == 5
        np.testing.assert_allclose(rows.weights[:3], exact.weights[:3])
        assert rows.weights.sum() == pytest.approx(1.0, abs=1e-5)
        np.add.at(total, rows.neighbors, rows.weights)
    np.testing.assert_allclose(total[1:10] / 4000, exact.weights, atol=0.008)


def _represent(model, store: Store, tables: dict, config: SamplerConfig, seed: int):  # type: ignore[no-untyped-def]
    users, items = np.arange(0, 60, 3, dtype=np.int32), np.arange(0, 45, 3, dtype=np.int32)
    around = Loader(store, model, config, 0, World()).neighborhood(Wanted(users, items), key(seed, 0, 0, 0))
    rows = [
        torch.cat([values[nodes.long()] for values in tables[side].values()], dim=1) if tables[side] else None
        for side, nodes in (("users", around.subgraph.users), ("items", around.subgraph.items))
    ]
    with torch.no_grad():
        return model.represent(around, *rows)


def _tables(model, store: Store) -> dict:  # type: ignore[no-untyped-def]
    generator = torch.Generator().manual_seed(1)
    sizes = {"users": store.manifest.num_users, "items": store.manifest.num_items}
    parts = {"users": model.user_parts, "items": model.item_parts}
    return {
        side: {name: torch.randn(sizes[side], part.width, generator=generator) for name, part in parts[side].items()}
        for side in sizes
    }
