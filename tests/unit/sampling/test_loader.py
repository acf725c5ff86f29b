"""A batch is the same whatever the number of workers, co-users with a fanout of their own included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.base.batch import Batch
from dualgnn_dist.base.sparse import SparseRows
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.models import MODELS
from dualgnn_dist.sampling.config import SamplerConfig
from dualgnn_dist.sampling.loader import Loader
from dualgnn_dist.training.state import sizes_of

FANOUT, CO_USER_FANOUT = 5, 2


def batches(store: Store, config: SamplerConfig, size: int, epoch: int, step: int) -> list[Batch]:
    """The parts of one global batch on so many workers."""
    model = MODELS["dualgnn"](MODELS["dualgnn"].Config(width=4), sizes_of(store, None))
    return [Loader(store, model, config, 3, World(rank=rank, size=size)).batch(epoch, step) for rank in range(size)]


def drawn_rows(edges: SparseRows, targets: np.ndarray, sources: np.ndarray) -> dict[int, list[int]]:
    """Node -> what it drew, both as rows of the store, in the order drawn."""
    rows = np.split(sources[edges.sources.numpy()], edges.offsets.numpy()[1:-1])
    return {int(target): row.tolist() for target, row in zip(targets[: len(rows)], rows, strict=True)}


def seed_users(batch: Batch) -> np.ndarray:
    around = batch.around.subgraph
    return around.users.numpy()[: around.user_reach[0]]


def wanted_users(batch: Batch) -> set[int]:
    return set(batch.around.subgraph.users[batch.users].tolist())


@pytest.mark.parametrize("draws", ["independent", "shared"])
@settings(max_examples=10, deadline=None)
@given(
    size=st.sampled_from([1, 2, 3]),
    epoch=st.integers(0, 5),
    batch_size=st.sampled_from([7, 20, 64]),
    exclude_positives=st.booleans(),
)
def test_users_of_the_global_batch_alone_draw_the_whole_fanout(
    draws: str, size: int, epoch: int, batch_size: int, exclude_positives: bool, demo_store: Store
) -> None:
    config = SamplerConfig(
        batch_size=batch_size,
        fanouts=(FANOUT, 3),
        co_users=3,
        co_user_fanout=CO_USER_FANOUT,
        draws=draws,
        exclude_positives=exclude_positives,
    )
    parts = batches(demo_store, config, size, epoch, 1)
    of_batch = set.union(*map(wanted_users, parts))
    drawn: dict[int, list[int]] = {}
    for part in parts:
        around = part.around.subgraph
        rows = drawn_rows(around.hops[0].to_users, seed_users(part), around.items.numpy())
        for user, row in rows.items():
            degree = len(demo_store.user_item.row(user))
            if user not in of_batch:
                assert len(row) == min(CO_USER_FANOUT, degree)
            elif user not in wanted_users(part) or not exclude_positives:
                assert len(row) == min(FANOUT, degree)
                assert drawn.setdefault(user, row) == row, "another worker draws otherwise"


@pytest.mark.parametrize("draws", ["independent", "shared"])
def test_workers_together_read_what_one_would(draws: str, demo_store: Store) -> None:
    config = SamplerConfig(
        batch_size=64, fanouts=(FANOUT, 3), co_users=3, co_user_fanout=CO_USER_FANOUT, draws=draws, num_negatives=2
    )
    (alone,) = batches(demo_store, config, 1, 0, 0)
    around = alone.around.subgraph
    expected = drawn_rows(around.hops[0].to_users, seed_users(alone), around.items.numpy())
    num_apart = 0
    for size in (2, 3):
        parts = batches(demo_store, config, size, 0, 0)
        for field in ("users", "positives", "negatives"):
            ids = [
                (part.around.subgraph.users if field == "users" else part.around.subgraph.items)[getattr(part, field)]
                for part in [alone, *parts]
            ]
            assert np.concatenate(ids[1:]).tolist() == ids[0].tolist()
        for part in parts:
            graph = part.around.subgraph
            rows = drawn_rows(graph.hops[0].to_users, seed_users(part), graph.items.numpy())
            assert rows == {user: expected[user] for user in rows}
            num_apart += len((set(seed_users(part)) & wanted_users(alone)) - wanted_users(part))
    assert num_apart > 0, "no co-user of one worker was a user of another"
