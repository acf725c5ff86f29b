"""Co-users against a plain count, with and without items that are taken as unknown."""

from __future__ import annotations

import numpy as np
import pytest

from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.models import MODELS
from dualgnn_dist.models.co_users import CoUsers, Weighting, exact_co_users
from dualgnn_dist.sampling.co_users import CoUserSampler
from dualgnn_dist.sampling.config import SamplerConfig
from dualgnn_dist.sampling.draws import Excluded
from dualgnn_dist.sampling.loader import Loader
from dualgnn_dist.training.state import sizes_of

WEIGHTS = {
    "softmax": lambda counts: np.exp(counts - counts.max()) / np.exp(counts - counts.max()).sum(),
    "mean": lambda counts: np.full(len(counts), 1 / len(counts)),
    "count": lambda counts: counts / counts.sum(),
}


@pytest.mark.parametrize("weighting", list(WEIGHTS))
@pytest.mark.parametrize("num_excluded", [0, 1, 3])
def test_all_co_users_equal_a_plain_count(weighting: Weighting, num_excluded: int, demo_store: Store) -> None:
    rng = np.random.default_rng(num_excluded)
    users = np.arange(0, 60, 2, dtype=np.int32)
    items = {int(u): set(demo_store.user_item.row(int(u)).tolist()) for u in range(60)}
    unknown = [sorted(rng.permutation(sorted(items[int(u)]))[:num_excluded].tolist()) for u in users]
    offsets = np.concatenate([[0], np.cumsum([len(ids) for ids in unknown])]).astype(np.int64)
    excluded = Excluded(offsets, np.array([item for ids in unknown for item in ids], dtype=np.int32))
    graph, user_item = demo_store.user_cooccurrence, demo_store.user_item
    read = CoUsers(50, weighting)
    rows = CoUserSampler(graph, user_item, read, None).sample(users, 0, excluded)
    if not num_excluded:
        for field, exact in zip(rows, exact_co_users(graph, users, read), strict=True):
            np.testing.assert_array_equal(field, exact)
    for k, user in enumerate(users.tolist()):
        stored = graph.row(user).tolist()
        shared = np.array([len((items[user] - set(unknown[k])) & items[other]) for other in stored])
        order = [position for position in np.argsort(-shared, kind="stable") if shared[position] > 0]
        found = slice(rows.offsets[k], rows.offsets[k + 1])
        assert rows.neighbors[found].tolist() == [stored[position] for position in order]
        if order:
            expected = WEIGHTS[weighting](shared[order].astype(float))
            np.testing.assert_allclose(rows.weights[found], expected, rtol=1e-6)


def test_a_batch_that_excludes_its_positives_does_not_count_them(demo_store: Store) -> None:
    model = MODELS["dualgnn"](MODELS["dualgnn"].Config(width=4), sizes_of(demo_store, None))
    weights = []
    for exclude in (False, True):
        config = SamplerConfig(batch_size=64, co_users="all", exclude_positives=exclude)
        co_users = Loader(demo_store, model, config, 1, World()).batch(0, 0).around.co_users
        assert co_users is not None
        weights.append(co_users)
    assert len(weights[1].sources) < len(weights[0].sources)
