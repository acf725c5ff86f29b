"""Figures beyond accuracy, held against loops over lists and pairs of lists."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.beyond import NAMES, ListCounts, beyond_accuracy
from dualgnn_dist.evaluation.config import Protocol
from dualgnn_dist.evaluation.evaluate import evaluate
from dualgnn_dist.evaluation.representations import Representations

KS = (2, 7)


def by_loops(store: Store, lists: list[list[int]]) -> dict[str, float]:
    """The definitions as one would say them."""
    train = store.interactions("train")
    pairs = set(zip(train.users.to_numpy().tolist(), train.items.to_numpy().tolist(), strict=True))
    met_by = [sum(item == other for _, other in pairs) for item in range(store.manifest.num_items)]
    num_users = len({user for user, _ in pairs})
    values = {}
    for k in KS:
        cut = [items[:k] for items in lists]
        entries = [item for items in cut for item in items]
        times = [entries.count(item) for item in range(store.manifest.num_items)]
        differences = [abs(a - b) for a in times for b in times]
        values[f"coverage@{k}"] = len(set(entries)) / len(times)
        values[f"gini@{k}"] = np.mean(differences) / (2 * np.mean(times))
        values[f"popularity@{k}"] = np.mean([met_by[item] for item in entries])
        values[f"novelty@{k}"] = np.mean([-math.log2(max(met_by[item], 1) / num_users) for item in entries])
        overlaps = [len(set(a) & set(b)) / k for a, b in itertools.combinations(cut, 2)]
        values[f"personalization@{k}"] = 1 - np.mean(overlaps)
    return values


@pytest.mark.parametrize("short", [False, True])
def test_they_are_what_their_names_say(demo_store: Store, short: bool) -> None:
    generator = np.random.default_rng(3)
    lists = np.stack([generator.permutation(demo_store.manifest.num_items // 2)[:9] for _ in range(20)]).astype(
        np.int32
    )
    if short:
        lists[3, 1:], lists[8, 4:] = -1, -1
    counts = ListCounts(demo_store, "all", KS)
    for part in (lists[:6], lists[6:]):
        counts.add(part)
    found = beyond_accuracy(counts, demo_store, "all")
    expected = by_loops(demo_store, [[item for item in row if item >= 0] for row in lists.tolist()])
    assert found == pytest.approx(expected, rel=1e-12) and len(found) == len(NAMES) * len(KS)
    assert 0 < found["coverage@2"] < found["coverage@7"] <= 0.5


def test_the_ends_of_the_scales(demo_store: Store) -> None:
    num_items = demo_store.manifest.num_items
    everyone_the_same, everyone_another = ListCounts(demo_store, "all", (1,)), ListCounts(demo_store, "all", (1,))
    everyone_the_same.add(np.zeros((num_items, 1), dtype=np.int32))
    everyone_another.add(np.arange(num_items, dtype=np.int32)[:, None])
    same, other = (beyond_accuracy(counts, demo_store, "all") for counts in (everyone_the_same, everyone_another))
    assert (same["personalization@1"], other["personalization@1"]) == (0, 1)
    assert (same["gini@1"], other["gini@1"]) == pytest.approx((1 - 1 / num_items, 0), abs=1e-12)
    assert (same["coverage@1"], other["coverage@1"]) == (1 / num_items, 1)


def test_one_list_has_no_other_to_differ_from(demo_store: Store) -> None:
    counts = ListCounts(demo_store, "all", KS)
    counts.add(np.arange(7, dtype=np.int32)[None])
    assert {key.partition("@")[0] for key in beyond_accuracy(counts, demo_store, "all")} == set(NAMES[:-1])


def described(world: World, store: Store) -> dict[str, float]:
    generator = torch.Generator().manual_seed(4)
    users, items = (
        torch.randn(n, 5, generator=generator) for n in (store.manifest.num_users, store.manifest.num_items)
    )
    rows = torch.arange(world.rank, len(users), world.size)
    counts = ListCounts(store, "all", KS)
    evaluate(Representations(rows, users[rows], items), store, Protocol("test", KS), world, counts.add)
    counts.sum_over(world)
    return beyond_accuracy(counts, store, "all")


def test_two_workers_find_what_one_does(demo_store: Store, run_workers: Callable[..., list[Any]]) -> None:
    (alone,) = run_workers(described, 1, demo_store)
    assert run_workers(described, 2, demo_store) == [alone, alone]
