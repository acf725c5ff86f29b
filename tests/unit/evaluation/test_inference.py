"""Exact inference: the dense reference of the whole graph, in blocks of any size, on any number of workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation import inference
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.load import load
from dualgnn_dist.training.trainer import Trainer

VARIANTS = [
    ("bpr_mf", {}),
    ("lightgcn", {"num_layers": 3}),
    ("dualgnn", {}),
    ("dualgnn", {"neighbor_weighting": "count", "fusion": "concat_mlp", "max_co_users": 5}),
    ("dualgnn", {"max_co_users": 0, "fusion": "max", "num_layers": 1}),
    ("dualgnn", {"fusion": "mean", "modalities": ["textual"]}),
    ("vbpr", {}),
    ("lr_gccf", {}),
    ("star_gcn", {}),
    ("mmgcn", {"latent_width": 5}),
    ("mmgcn", {"combine": "concat", "modalities": ["acoustic"]}),
]
CASES = [*((variant, 1) for variant in VARIANTS), *((VARIANTS[k], 2) for k in (1, 3, 7, 9))]


@pytest.mark.parametrize(("variant", "size"), CASES, ids=str)
def test_inference_equals_the_dense_reference(
    variant: tuple[str, dict],
    size: int,
    demo_store: Store,
    tmp_path: Path,
    run_workers: Callable[..., list[Any]],
    dense_references: dict[str, Callable[..., Any]],
) -> None:
    config = make_config(demo_store, tmp_path, *variant)
    results = run_workers(train_and_infer, size, config, 7)
    model = results[0]["model"].double()
    tables = {
        side: {
            part: _interleave([result["tables"][side][:, columns] for result in results]).double()
            for part, columns in results[0]["columns"][side].items()
        }
        for side in results[0]["tables"]
    }
    users, items = dense_references[config.model.name](model, demo_store, tables)
    for rank, result in enumerate(results):
        found = result["found"]
        np.testing.assert_array_equal(found.user_rows, np.arange(rank, len(users), size))
        assert found.users.dtype == found.items.dtype == torch.float32 and not found.users.requires_grad
        torch.testing.assert_close(found.users.double(), users[rank::size], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(found.items.double(), items, rtol=1e-5, atol=1e-6)
        assert torch.equal(found.items, results[0]["found"].items)


def test_blocks_of_any_size_give_the_same(demo_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = Trainer.build(make_config(demo_store, tmp_path, "dualgnn", {}), demo_store, Host(World())).state
    whole = inference.infer(state.model, state.tables, demo_store, World())
    for block in (1, 13, 60):
        monkeypatch.setattr(inference, "BLOCK", block)
        found = inference.infer(state.model, state.tables, demo_store, World())
        torch.testing.assert_close(found.users, whole.users, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(found.items, whole.items, rtol=1e-5, atol=1e-6)


def test_inference_leaves_the_training_state_as_it_is(demo_store: Store, tmp_path: Path) -> None:
    trainer = Trainer.build(make_config(demo_store, tmp_path, "dualgnn", {}), demo_store, Host(World()))
    trainer.train_step(trainer.loader.batch(0, 0))
    before = {side: [x.clone() for x in table.state] for side, table in trainer.state.tables.items()}
    inference.infer(trainer.state.model, trainer.state.tables, demo_store, World())
    for side, table in trainer.state.tables.items():
        assert all(torch.equal(old, new) for old, new in zip(before[side], table.state, strict=True))


def make_config(store: Store, output: Path, model: str, settings: dict) -> RunConfig:
    settings = dict(settings)
    values = {
        "data": {"store": str(store.path), "modalities": settings.pop("modalities", None)},
        "model": {"name": model, "width": 6, **settings},
        "sampler": {"batch_size": 50, "fanouts": [3, 2]},
        "optimizer": {"learning_rate": 0.01},
        "run": {"name": "run", "output": str(output)},
    }
    (output / "config.yaml").write_text(yaml.safe_dump(values))
    return load(output / "config.yaml")


def train_and_infer(world: World, config: RunConfig, block: int) -> dict[str, Any]:
    """A few steps first, so that rows stand at different steps; then everything that the reference needs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference, "BLOCK", block)
        store = Store.open(config.data.store)
        trainer = Trainer.build(config, store, Host(world))
        for step in range(3):
            trainer.train_step(trainer.loader.batch(0, step))
        tables, model = trainer.state.tables, trainer.state.model
        return {
            "found": inference.infer(model, tables, store, world),
            "model": model,
            "tables": {side: table.local_rows()[1] for side, table in tables.items()},
            "columns": {side: table.columns for side, table in tables.items()},
        }


def _interleave(parts: list[torch.Tensor]) -> torch.Tensor:
    """[rows, width] from what each worker holds: row r is on worker r mod size."""
    rows = parts[0].new_empty(sum(len(part) for part in parts), parts[0].shape[1])
    for rank, part in enumerate(parts):
        rows[rank :: len(parts)] = part
    return rows
