"""Every user's metrics from a run's vectors, held against a plain ranking."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.metrics import user_metrics
from dualgnn_dist.results.finished_run import FinishedRun
from dualgnn_dist.results.per_user import per_user


@pytest.mark.parametrize("split", ["valid", "test"])
def test_users_are_measured_as_in_a_plain_evaluation(
    make_run: Callable[..., Path], demo_store: Store, split: Any
) -> None:
    run = FinishedRun.read(make_run("a", workers=3))
    learned = run.learned(demo_store)
    found = per_user(run, learned, demo_store, ["recall@5", "ndcg@20"], split, "all")
    offsets, held_out = demo_store.held_out(split, np.arange(demo_store.manifest.num_users, dtype=np.int32))
    seen = [set(demo_store.user_item.row(user).tolist()) for user in range(len(learned.users))]
    if split == "test":
        valid = demo_store.interactions("valid")
        for user, item in zip(valid.users.to_numpy().tolist(), valid.items.to_numpy().tolist(), strict=True):
            seen[user].add(item)
    ranked = np.full((len(seen), 20), -1, dtype=np.int32)
    for user, scores in enumerate(learned.users.astype(float) @ learned.items.T.astype(float)):
        order = [item for item in np.argsort(-scores) if item not in seen[user]][:20]
        ranked[user, : len(order)] = order
    expected = user_metrics(ranked, (offsets, held_out), (5, 20))
    for metric, values in found.items():
        assert values == pytest.approx(expected[metric][np.diff(offsets) > 0])
        assert 0 < values.mean() < 1


def test_some_users_are_those_of_all(make_run: Callable[..., Path], demo_store: Store) -> None:
    run = FinishedRun.read(make_run("a"))
    learned = run.learned(demo_store)
    everyone = np.arange(len(learned.users), dtype=np.int32)
    counted = everyone[np.diff(demo_store.held_out("test", everyone)[0]) > 0]
    whole = per_user(run, learned, demo_store, ["ndcg@20"], "test", "all")["ndcg@20"]
    some = per_user(run, learned, demo_store, ["ndcg@20"], "test", "all", np.arange(0, len(everyone), 2))["ndcg@20"]
    assert some.tolist() == whole[counted % 2 == 0].tolist()
    assert per_user(run, learned, demo_store, [], "test", "all") == {}


def test_vectors_of_another_run_are_refused_all_and_some(make_run: Callable[..., Path], demo_store: Store) -> None:
    run, other = FinishedRun.read(make_run("a", 1)), FinishedRun.read(make_run("b", 2))
    vectors, metrics = other.learned(demo_store), ["recall@20"]
    with pytest.raises(UserError, match=r"a give recall@20 0\.\d+, its .* says 0\.\d+: they are not of one run"):
        per_user(run, vectors, demo_store, metrics, "test", "all")
    shifted = {"test": {"all": {**run.metrics["test"]["all"], "recall@20": 2.0}}}
    with pytest.raises(UserError, match="not of one run"):
        per_user(
            dataclasses.replace(run, metrics=shifted), vectors, demo_store, metrics, "test", "all", np.arange(0, 60, 2)
        )
