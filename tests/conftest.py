"""What several tests share."""

from __future__ import annotations

import pytest

from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.store.reader import Store

pytest_plugins = ["dense_reference", "gloo_workers", "order_of_writes"]


@pytest.fixture(scope="session")
def demo_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A small synthetic store: dense and token modalities, missing content, isolated nodes, several shards."""
    options = {
        "num_users": 60,
        "num_items": 45,
        "num_interactions": 500,
        "num_communities": 6,
        "num_topics": 5,
        "visual_dimension": 7,
        "acoustic_dimension": 5,
        "vocabulary_size": 30,
        "missing_share": 0.2,
    }
    config = PrepareConfig(format="synthetic", split="random", options=options, num_co_users=50, rows_per_shard=17)
    path = tmp_path_factory.mktemp("stores") / "demo"
    return Store.open(prepare(config, path, say=lambda line: None))
