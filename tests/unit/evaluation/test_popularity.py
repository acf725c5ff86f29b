"""The list of what everybody watches: a plain count, whatever the workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.config import Protocol
from dualgnn_dist.evaluation.evaluate import evaluate
from dualgnn_dist.evaluation.popularity import by_popularity

KS = (1, 5, 20)


def items_of(store: Store, split: str) -> dict[int, set[int]]:
    columns = store.interactions(split)
    by_user: dict[int, set[int]] = {user: set() for user in range(store.manifest.num_users)}
    for user, item in zip(columns.users.to_numpy().tolist(), columns.items.to_numpy().tolist(), strict=True):
        by_user[user].add(item)
    return by_user


def test_it_lists_what_most_users_have_met(demo_store: Store) -> None:
    counts = Counter(demo_store.interactions("train").items.to_numpy().tolist())
    train, valid, test = (items_of(demo_store, split) for split in ("train", "valid", "test"))
    assert len(set(counts.values())) < len(counts), "some items must tie"
    recalls: dict[int, list[float]] = {k: [] for k in KS}
    for user, held_out in test.items():
        left = set(range(demo_store.manifest.num_items)) - train[user] - valid[user]
        ranking = sorted(left, key=lambda item: (-counts[item], item))
        for k in KS if held_out else ():
            recalls[k].append(len(held_out & set(ranking[:k])) / len(held_out))
    found = evaluate(by_popularity(demo_store, World()), demo_store, Protocol("test", KS), World())
    for k in KS:
        assert found[f"recall@{k}"] == pytest.approx(np.mean(recalls[k]), rel=1e-12)
    assert 0 < found["recall@1"] < found["recall@20"] < 1


def measured(world: World, store: Store) -> dict[str, float]:
    return evaluate(by_popularity(store, world), store, Protocol("test", KS), world)


def test_two_workers_find_what_one_does(demo_store: Store, run_workers: Callable[..., list[Any]]) -> None:
    (alone,) = run_workers(measured, 1, demo_store)
    for found in run_workers(measured, 2, demo_store):
        assert found == pytest.approx(alone, rel=1e-12)
