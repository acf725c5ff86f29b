"""Evaluation of a split: a plain loop over users with a full sort gives the same numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from dualgnn_dist import evaluation
from dualgnn_dist.evaluation import Split, evaluate, seen_items
from dualgnn_dist.inference import Representations
from dualgnn_dist.store.reader import Store
from dualgnn_dist.strict import UserError
from dualgnn_dist.world import World

KS = (1, 5, 20)


@pytest.mark.parametrize("split", ["valid", "test"])
@pytest.mark.parametrize("convention", ["standard", "dualgnn"])
def test_metrics_are_those_of_a_plain_loop(
    split: Split, convention: Any, demo_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "BLOCK", 13)
    users, items = vectors(demo_store)
    found = evaluate(representations(World(), users, items), demo_store, split, KS, convention, World())
    expected = plain_loop(demo_store, users, items, split, convention)
    assert found.keys() == expected.keys()
    assert 0 < found["ndcg@20"] < 1 and 0 < found["num_users"] < len(users)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-12), name


@pytest.mark.parametrize("split", ["valid", "test"])
def test_two_workers_find_what_one_does(split: Split, demo_store: Store, run_workers: Callable[..., list[Any]]) -> None:
    (alone,) = run_workers(evaluate_on_worker, 1, demo_store, split)
    for found in run_workers(evaluate_on_worker, 2, demo_store, split):
        assert found == pytest.approx(alone, rel=1e-12)


def test_a_perfect_model_finds_everything_although_seen_items_score_higher(demo_store: Store) -> None:
    users = torch.eye(demo_store.manifest.num_users)
    scores = torch.zeros(demo_store.manifest.num_users, demo_store.manifest.num_items)
    for split, score in (("test", 1.0), ("valid", 2.0)):
        offsets, items = demo_store.held_out(split, np.arange(len(users), dtype=np.int32))
        for user in range(len(users)):
            scores[user, items[offsets[user] : offsets[user + 1]].astype(np.int64)] = score
    for user in range(len(users)):
        scores[user, demo_store.user_item.row(user).astype(np.int64)] = 3.0
    found = evaluate(
        representations(World(), users, scores.T.contiguous()), demo_store, "test", KS, "standard", World()
    )
    assert found["ndcg@20"] == found["mrr@1"] == found["hitrate@1"] == 1.0
    validation = evaluate(
        representations(World(), users, scores.T.contiguous()), demo_store, "valid", KS, "standard", World()
    )
    assert validation["ndcg@20"] == validation["mrr@1"] == 1.0


def test_the_other_splits_items_are_candidates_in_validation_and_excluded_in_the_test(demo_store: Store) -> None:
    users = np.arange(0, demo_store.manifest.num_users, 3, dtype=np.int32)
    for split in ("valid", "test"):
        offsets, items = seen_items(demo_store, users, split)  # type: ignore[arg-type]
        assert offsets.dtype == np.int64 and items.dtype == np.int32
        for position, user in enumerate(users):
            seen = set(demo_store.user_item.row(int(user)).tolist())
            if split == "test":
                seen |= held_out(demo_store, "valid", int(user))
            assert items[offsets[position] : offsets[position + 1]].tolist() == sorted(seen)


def test_nobody_to_evaluate_is_an_error(demo_store: Store) -> None:
    users, items = vectors(demo_store)
    rows = [user for user in range(len(users)) if not held_out(demo_store, "test", user)]
    assert rows, "the demo store has a user without test items"
    nobody = Representations(torch.tensor(rows), users[rows], items)
    with pytest.raises(UserError, match="no user has a held-out item"):
        evaluate(nobody, demo_store, "test", KS, "standard", World())


def vectors(store: Store) -> tuple[torch.Tensor, torch.Tensor]:
    """Small whole numbers: many scores tie, and every sum is exact."""
    generator = torch.Generator().manual_seed(2)
    sizes = (store.manifest.num_users, store.manifest.num_items)
    users, items = (torch.randint(-2, 3, (size, 4), generator=generator).float() for size in sizes)
    return users, items


def representations(world: World, users: torch.Tensor, items: torch.Tensor) -> Representations:
    rows = torch.arange(world.rank, len(users), world.size)
    return Representations(rows, users[rows], items)


def evaluate_on_worker(world: World, store: Store, split: Split) -> dict[str, float]:
    return evaluate(representations(world, *vectors(store)), store, split, KS, "standard", world)


def held_out(store: Store, split: str, user: int) -> set[int]:
    interactions = store.interactions(split)
    return set(interactions.items.to_numpy()[interactions.users.to_numpy() == user].tolist())


def plain_loop(store: Store, users: torch.Tensor, items: torch.Tensor, split: str, convention: str) -> dict[str, float]:
    totals: dict[str, float] = {}
    num_users = 0
    for user in range(len(users)):
        wanted = held_out(store, split, user)
        if not wanted:
            continue
        num_users += 1
        seen = set(store.user_item.row(user).tolist()) | (held_out(store, "valid", user) if split == "test" else set())
        scores = (items @ users[user]).tolist()
        ranked = sorted(set(range(len(items))) - seen, key=lambda item, scores=scores: (-scores[item], item))
        for k in KS:
            for name, value in _metrics_of(ranked[:k], wanted, k, convention).items():
                totals[f"{name}@{k}"] = totals.get(f"{name}@{k}", 0.0) + value
    return {**{name: total / num_users for name, total in totals.items()}, "num_users": num_users}


def _metrics_of(ranked: list[int], wanted: set[int], k: int, convention: str) -> dict[str, float]:
    hit_ranks = [rank for rank, item in enumerate(ranked, start=1) if item in wanted]
    num_ideal = min(k, len(wanted)) if convention == "standard" else len(hit_ranks)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, num_ideal + 1))
    precisions = [(index + 1) / rank for index, rank in enumerate(hit_ranks)]
    return {
        "precision": len(hit_ranks) / k,
        "recall": len(hit_ranks) / len(wanted),
        "ndcg": sum(1 / math.log2(rank + 1) for rank in hit_ranks) / ideal if ideal else 0.0,
        "hitrate": float(bool(hit_ranks)),
        "map": sum(precisions) / min(k, len(wanted)),
        "mrr": 1 / hit_ranks[0] if hit_ranks else 0.0,
    }
