"""Folders of runs and sweeps, made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation import representations
from dualgnn_dist.evaluation.config import Protocol
from dualgnn_dist.evaluation.evaluate import evaluate
from dualgnn_dist.evaluation.metrics import metric_keys
from dualgnn_dist.evaluation.representations import Representations
from dualgnn_dist.results.finished_run import Learned
from dualgnn_dist.training.load import load

BEST = ((1, 0.2), (2, 0.1), (3, 0.2))  # the validation metric by epoch


@pytest.fixture
def make_run(tmp_path: Path, demo_store: Store) -> Callable[..., Path]:
    """`make_run("a", seed=2, workers=2, settings=[..])`: the folder of a run that was never trained: random vectors."""

    def make(name: str, seed: int = 1, workers: int = 1, settings: tuple[str, ...] = (), **changed: Any) -> Path:
        file, folder = tmp_path / "config.yaml", tmp_path / "runs" / name
        file.write_text(yaml.safe_dump({"data": {"store": str(demo_store.path)}, "model": {"name": "lightgcn"}}))
        config = load(file, [f"run.name={name}", f"run.seed={seed}", *settings])
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(config.to_yaml())
        generator = np.random.default_rng([seed, len(settings)])
        users, items = (
            generator.standard_normal((number, 4)).astype(np.float32)
            for number in (demo_store.manifest.num_users, demo_store.manifest.num_items)
        )
        for rank in range(workers):
            rows = np.arange(rank, len(users), workers)
            path = folder / "representations" / f"users-{rank:05d}-of-{workers:05d}.arrow"
            representations.write(
                path, rows, demo_store.ids("users", rows), users[rows], {"weight_visual": users[rows, 0]}
            )
        rows = np.arange(len(items))
        representations.write(folder / "representations" / "items.arrow", rows, demo_store.ids("items"), items)
        given = Representations(torch.arange(len(users)), torch.from_numpy(users), torch.from_numpy(items))
        ks, convention = config.evaluation.ks, config.evaluation.ndcg_convention
        valid, test = (
            evaluate(given, demo_store, Protocol(split, ks, convention), World()) for split in ("valid", "test")
        )  # type: ignore[arg-type]
        facts = {"validation": valid, "test": test, "num_workers": workers, "best_epoch": 1, "epochs": 1}
        facts |= {"seconds": {}, "peak_memory_bytes": [1], "versions": {}}
        facts["store"] = {"path": str(demo_store.path), "fingerprint": demo_store.manifest.fingerprint}
        (folder / "metrics.json").write_text(json.dumps({**facts, **changed}))
        return folder

    return make


def _random_vectors(store: Store) -> Learned:
    rng = np.random.default_rng(5)
    sizes = store.manifest
    users, items = (rng.normal(size=(n, 4)).astype(np.float32) for n in (sizes.num_users, sizes.num_items))
    return Learned(users, items, {"weight_visual": rng.random(sizes.num_users).astype(np.float32)})


@pytest.fixture
def learned(demo_store: Store) -> Learned:
    """The vectors of the run of `make_demo_run`."""
    return _random_vectors(demo_store)


@pytest.fixture
def make_demo_run(demo_store: Store, tmp_path: Path) -> Callable[..., Path]:
    """`make_demo_run(..)`: a run's folder on the demo store, finished by hand; values of metrics.json may be given."""

    def make(name: str = "demo", finished: bool = True, store: str | None = None, **changes: Any) -> Path:
        from_vectors = _random_vectors(demo_store)
        folder = tmp_path / "run"
        folder.mkdir()
        config = {
            "data": {"store": store or str(demo_store.path), "drop_modality": {"share": 0.3, "modality": "visual"}},
            "model": {"name": "dualgnn", "max_co_users": 40},
            "train": {"epochs": 4, "metric": "recall@10"},
            "evaluation": {"ks": [5, 10]},
            "run": {"name": name},
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        values = dict.fromkeys(metric_keys((5, 10)), 0.1)
        records = [
            {"epoch": 1, "training": {"loss": 0.7, "seconds": 2.0, "interactions_per_second": 10, "waiting_share": 0.5}}
        ]
        records += [{"epoch": epoch, "validation": {**values, "recall@10": best}} for epoch, best in BEST]
        (folder / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        rows = np.arange(len(from_vectors.users))
        given_vectors = Representations(*map(_tensor, (rows, from_vectors.users, from_vectors.items)))
        test = evaluate(given_vectors, demo_store, Protocol("test", (5, 10)), World())
        metrics = {
            "validation": values,
            "test": test,
            "test_by_candidates": {"all": test},
            "best_epoch": 1,
            "epochs": 3,
            "seconds": {"training": 8.0, "waiting": 2.0, "inference": 1.0, "ranking": 0.5, "total": 10.0},
            "peak_memory_bytes": [2**30, 2**29],
            "num_workers": 1,
            "store": {"fingerprint": demo_store.manifest.fingerprint},
            "versions": {"torch": "1"},
            **changes,
        }
        if finished:
            (folder / "metrics.json").write_text(json.dumps(metrics))
            _write_vectors(folder / "representations", from_vectors, demo_store)
        return folder

    return make


def _tensor(values: np.ndarray) -> Any:
    return torch.from_numpy(values)


def _write_vectors(folder: Path, learned: Learned, store: Store) -> None:
    rows, items = np.arange(len(learned.users)), np.arange(len(learned.items))
    representations.write(
        folder / "users-00000-of-00001.arrow", rows, store.ids("users"), learned.users, learned.columns
    )
    representations.write(folder / "items.arrow", items, store.ids("items"), learned.items)


@pytest.fixture
def make_sweep(tmp_path: Path) -> Callable[..., Path]:
    """`make_sweep(trials)`: a sweep's folder that is still running."""

    def make(trials: list[dict[str, Any]]) -> Path:
        folder = tmp_path / "sweep <b>"
        folder.mkdir()
        search = {"optimizer.learning_rate": {"loguniform": [1e-4, 1e-1]}, "model.fusion": {"choice": ["max", "mean"]}}
        values = {
            "model": {"name": "dualgnn"},
            "train": {"metric": "ndcg@10"},
            "search": search,
            "sweep": {"trials": 9},
        }
        (folder / "sweep.yaml").write_text(yaml.safe_dump(values))
        (folder / "trials.jsonl").write_text("".join(json.dumps(one) + "\n" for one in trials))
        return folder

    return make
