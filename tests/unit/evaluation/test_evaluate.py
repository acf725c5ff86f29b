"""Evaluation is a full sort for every user and a plain mean, whatever the blocks and the number of workers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.world import World
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation import evaluate as evaluate_module
from dualgnn_dist.evaluation.config import Protocol, Split
from dualgnn_dist.evaluation.evaluate import candidate_items, candidates_of, evaluate, seen_items
from dualgnn_dist.evaluation.metrics import NAMES
from dualgnn_dist.evaluation.representations import Representations

KS = (1, 3, 10)


def representations(store: Store, world: World, width: int = 6) -> Representations:
    """Small whole numbers: exact scores, and many ties."""
    generator = torch.Generator().manual_seed(2)
    users = torch.randint(-2, 3, (store.manifest.num_users, width), generator=generator).float()
    items = torch.randint(-2, 3, (store.manifest.num_items, width), generator=generator).float()
    rows = torch.arange(world.rank, len(users), world.size)
    return Representations(rows, users[rows], items)


def pairs(store: Store, split: str) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {user: set() for user in range(store.manifest.num_users)}
    part = store.interactions(split)
    for user, item in zip(part.users.to_numpy().tolist(), part.items.to_numpy().tolist(), strict=True):
        found[user].add(item)
    return found


def slow_evaluation(store: Store, split: Split, convention: str, candidates: str = "all") -> dict[str, float]:
    given = representations(store, World())
    train, valid, held_out = pairs(store, "train"), pairs(store, "valid"), pairs(store, split)
    trained_items = set().union(*train.values())
    listed = {
        item
        for item in range(store.manifest.num_items)
        if candidates == "all" or (item in trained_items) == (candidates == "warm")
    }
    held_out = {user: items & listed for user, items in held_out.items()}
    values: dict[str, list[float]] = {f"{name}@{k}": [] for name in NAMES for k in KS}
    for user in range(store.manifest.num_users):
        if not held_out[user]:
            continue
        left_out = train[user] | (valid[user] if split == "test" else set())
        scores = (given.items.double() @ given.users[user].double()).tolist()
        ranking = sorted(listed - left_out, key=lambda item, s=scores: (-s[item], item))
        for k in KS:
            hits = [rank for rank, item in enumerate(ranking[:k], start=1) if item in held_out[user]]
            best = min(k, len(held_out[user])) if convention == "standard" else len(hits)
            ideal = sum(1 / math.log2(rank + 1) for rank in range(1, best + 1))
            values[f"precision@{k}"].append(len(hits) / k)
            values[f"recall@{k}"].append(len(hits) / len(held_out[user]))
            values[f"ndcg@{k}"].append(sum(1 / math.log2(rank + 1) for rank in hits) / ideal if hits else 0.0)
            values[f"hitrate@{k}"].append(float(bool(hits)))
            precisions = [(position + 1) / rank for position, rank in enumerate(hits)]
            values[f"map@{k}"].append(sum(precisions) / min(k, len(held_out[user])))
            values[f"mrr@{k}"].append(1 / hits[0] if hits else 0.0)
    means = {name: sum(numbers) / len(numbers) for name, numbers in values.items()}
    return {**means, "num_users": float(len(values["recall@1"]))}


@pytest.mark.parametrize("split", ["valid", "test"])
@pytest.mark.parametrize("convention", ["standard", "dualgnn"])
@pytest.mark.parametrize("block", [7, 16_384])
def test_it_is_a_loop_over_users(
    split: Split, convention: Any, block: int, demo_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate_module, "BLOCK", block)
    found = evaluate(representations(demo_store, World()), demo_store, Protocol(split, KS, convention), World())
    expected = slow_evaluation(demo_store, split, convention)
    assert found == pytest.approx(expected, rel=1e-12)
    assert 0 < found["num_users"] < demo_store.manifest.num_users, "some users must have nothing held out"
    assert 0 < found["recall@10"] < 1 and found["ndcg@10"] != found["recall@10"]


@pytest.fixture(scope="module")
def cold_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    options = {"num_users": 60, "num_items": 45, "num_interactions": 500, "num_topics": 5}
    config = PrepareConfig(format="synthetic", split="cold_items", cold_share=0.3, options=options, rows_per_shard=17)
    return Store.open(prepare(config, tmp_path_factory.mktemp("stores") / "cold", say=lambda line: None))


@pytest.mark.parametrize("split", ["valid", "test"])
@pytest.mark.parametrize("candidates", ["all", "warm", "cold"])
def test_warm_and_cold_items_apart(split: Split, candidates: Any, cold_store: Store) -> None:
    given = representations(cold_store, World())
    found = evaluate(given, cold_store, Protocol(split, KS, candidates=candidates), World())
    assert found == pytest.approx(slow_evaluation(cold_store, split, "standard", candidates), rel=1e-12)
    assert 0 < found["recall@10"] < 1


def test_what_is_ranked_depends_on_the_store_and_the_model(cold_store: Store, demo_store: Store) -> None:
    assert candidates_of(demo_store, True) == candidates_of(demo_store, False) == ("all",)
    assert candidates_of(cold_store, True) == ("all", "warm", "cold")
    assert candidates_of(cold_store, False) == ("warm",)


def test_items_that_nobody_has_met_are_ranked_by_content_alone(tmp_path: Path) -> None:
    options = {"num_users": 60, "num_items": 45, "num_interactions": 500, "num_topics": 5}
    config = PrepareConfig(format="synthetic", split="random", options=options, k_core=6, cold_items="keep")
    store = Store.open(prepare(config, tmp_path / "store", say=lambda line: None))
    assert store.manifest.settings["catalogue"]["kept_cold"] > 5
    assert candidates_of(store, True) == ("all", "warm")
    assert candidates_of(store, False) == ("warm",)
    config = replace(config, split="cold_items", cold_share=0.2)
    store = Store.open(prepare(config, tmp_path / "both", say=lambda line: None))
    assert candidates_of(store, True) == ("all", "warm", "cold")
    assert len(candidate_items(store, "cold")) > store.manifest.settings["catalogue"]["kept_cold"]


def evaluate_both(world: World, store: Store) -> list[dict[str, float]]:
    given = representations(store, world)
    return [evaluate(given, store, Protocol(split, KS), world) for split in ("valid", "test")]  # type: ignore[arg-type]


def test_two_workers_find_what_one_does(demo_store: Store, run_workers: Callable[..., list[Any]]) -> None:
    (alone,) = run_workers(evaluate_both, 1, demo_store)
    for found in run_workers(evaluate_both, 2, demo_store):
        for split, expected in zip(found, alone, strict=True):
            assert split == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("split", ["valid", "test"])
def test_what_is_not_recommended(split: Split, demo_store: Store) -> None:
    train, valid = pairs(demo_store, "train"), pairs(demo_store, "valid")
    users = np.array([0, 3, 4, 40, 59], dtype=np.int32)
    offsets, items = seen_items(demo_store, users, split)
    assert offsets.dtype == np.int64 and items.dtype == np.int32
    assert any(valid[user] for user in users.tolist())
    for k, user in enumerate(users.tolist()):
        expected = train[user] | (valid[user] if split == "test" else set())
        assert items[offsets[k] : offsets[k + 1]].tolist() == sorted(expected)


def test_fewer_items_than_a_list_is_long(demo_store: Store) -> None:
    given = representations(demo_store, World())
    found = evaluate(given, demo_store, Protocol("test", (1000,)), World())
    assert found["recall@1000"] == 1.0


def test_nothing_held_out_is_refused(demo_store: Store) -> None:
    given = representations(demo_store, World())
    kept = [user for user, items in pairs(demo_store, "valid").items() if not items]
    without = Representations(torch.tensor(kept), given.users[kept], given.items)
    with pytest.raises(UserError, match=r"no user has a held-out item.*choose a split that holds out"):
        evaluate(without, demo_store, Protocol("valid", (1,)), World())
