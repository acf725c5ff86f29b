"""Golden losses: the first steps of `configs/debug.yaml` for every model. A refactoring leaves them alone.

Where a change is meant to change them, write them anew and say why in the changelog:

    RENEW_GOLDEN=1 python -m pytest tests/numerics/test_golden.py
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from dualgnn_dist.build.pipeline import prepare
from dualgnn_dist.config import load
from dualgnn_dist.models import MODELS
from dualgnn_dist.store.reader import Store
from dualgnn_dist.trainer import Trainer
from dualgnn_dist.world import World

CONFIG = Path(__file__).parents[2] / "configs" / "debug.yaml"
GOLDEN = Path(__file__).with_name("golden.json")
NUM_STEPS = 20


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    config = load(CONFIG)
    assert config.prepare is not None
    return Store.open(prepare(config.prepare, tmp_path_factory.mktemp("golden") / "store", say=lambda line: None))


@pytest.mark.parametrize("model", MODELS)
def test_losses_are_the_golden_ones(model: str, store: Store, tmp_path: Path) -> None:
    losses = first_losses(model, store, tmp_path)
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if os.environ.get("RENEW_GOLDEN"):
        golden[model] = losses
        GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")
        pytest.skip(f"wrote the losses of {model} to {GOLDEN.name}")
    assert losses == pytest.approx(golden[model], rel=1e-6, abs=0)


def test_golden_losses_can_tell_a_difference(store: Store, tmp_path: Path) -> None:
    golden = json.loads(GOLDEN.read_text())
    assert golden.keys() == MODELS.keys()
    for losses in golden.values():
        assert len(losses) == NUM_STEPS and losses[-1] < 0.99 * losses[0], "nothing was learned: bugs would not show"
    other = first_losses("dualgnn", store, tmp_path, "run.seed=2")
    assert other != pytest.approx(golden["dualgnn"], rel=1e-3)


def first_losses(model: str, store: Store, output: Path, *overrides: str) -> list[float]:
    """Mean loss of each of the first steps."""
    torch.set_num_threads(1)
    config = load(CONFIG, [f"model.name={model}", f"data.store={store.path}", f"run.output={output}", *overrides])
    trainer = Trainer(config, store, World())
    losses: list[float] = []
    for step in range(NUM_STEPS):
        batch = trainer.loader.batch(*divmod(step, trainer.loader.num_steps))
        losses.append(float(trainer.train_step(batch)) / batch.global_size)
    return losses
