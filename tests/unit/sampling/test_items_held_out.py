"""Items that are held out whole, or that nobody has met, come after the training: no batch may know them, not even as
negatives.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dualgnn_dist.base.world import World
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.models import MODELS
from dualgnn_dist.sampling.config import SamplerConfig
from dualgnn_dist.sampling.loader import Loader
from dualgnn_dist.training.state import sizes_of


@pytest.fixture(scope="module", params=["held out", "kept"])
def cold_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Three in ten items are held out, or are in the store for their content alone."""
    options = {"num_users": 60, "num_items": 45, "num_interactions": 500, "num_topics": 5}
    held_out, kept = {"split": "cold_items", "cold_share": 0.3}, {"split": "random", "k_core": 6, "cold_items": "keep"}
    config = PrepareConfig(format="synthetic", options=options, **(held_out if request.param == "held out" else kept))
    return Store.open(prepare(config, tmp_path_factory.mktemp("stores") / "cold", say=lambda line: None))


@pytest.mark.parametrize(
    "settings",
    [{}, {"negatives": "popularity"}, {"negatives": "popularity", "negative_alpha": 0.0}],
    ids=["uniform", "popularity", "popularity to the power of 0"],
)
def test_no_batch_holds_an_item_that_is_held_out(settings: dict, cold_store: Store) -> None:
    model = MODELS["lightgcn"](MODELS["lightgcn"].Config(width=4), sizes_of(cold_store, None))
    config = replace(SamplerConfig(batch_size=100, num_negatives=5), **settings)
    loader, is_cold = Loader(cold_store, model, config, 1, World()), cold_store.item_user.degrees() == 0
    assert 5 < is_cold.sum() < 20
    negatives = []
    for step in range(loader.num_steps):
        batch = loader.batch(0, step)
        items = batch.around.subgraph.items.numpy()
        assert not is_cold[items].any()
        negatives.append(items[batch.negatives.numpy().ravel()])
    assert len(np.unique(np.concatenate(negatives))) == (~is_cold).sum(), "all others are negatives"
