"""What every model of `MODELS` keeps to. A further model is tested by its line in that table, and by nothing here."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import yaml

from dualgnn_dist.base.batch import Batch, to_dtype
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.randomness import key
from dualgnn_dist.base.world import World
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.inference import infer
from dualgnn_dist.models import MODELS
from dualgnn_dist.sampling.loader import Loader
from dualgnn_dist.sampling.wanted import Wanted
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.load import load
from dualgnn_dist.training.state import make_state
from dualgnn_dist.training.trainer import Trainer

pytestmark = pytest.mark.parametrize("name", list(MODELS))


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., RunConfig]:
    """`configure(name, store, *overrides)`: a small run of a model on a store."""

    def make(name: str, store: Store, *overrides: str) -> RunConfig:
        values = {
            "data": {"store": str(store.path)},
            "model": {"name": name, "width": 8},
            "sampler": {"batch_size": 64, "fanouts": [3, 2], "co_users": 3},
            "optimizer": {"learning_rate": 0.01},
            "train": {"patience": None},
            "run": {"name": "run", "output": str(tmp_path)},
        }
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
        return load(tmp_path / "config.yaml", overrides)

    return make


Configure = Callable[..., RunConfig]


def steps(trainer: Trainer, number: int) -> list[float]:
    return [float(trainer.train_step(trainer.loader.batch(0, step))) for step in range(number)]


def losses_of(trainer: Trainer, batch: Batch) -> torch.Tensor:
    """[B], with gradients to tables and weights."""
    state, graph = trainer.state, batch.around.subgraph
    rows = {side: table.fetch(getattr(graph, side)) for side, table in state.tables.items()}
    return state.model(batch, rows.get("users"), rows.get("items"))


def assert_same_value(one: Any, other: Any) -> None:
    """Of the dataclasses, mappings and tuples that a batch is made of: equal bits, equal structure."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_same_value(one[name], other[name])
    elif isinstance(one, (tuple, list)):
        assert len(one) == len(other)
        for part, other_part in zip(one, other, strict=True):
            assert_same_value(part, other_part)
    elif hasattr(one, "__dict__"):
        assert_same_value(vars(one), vars(other))
    else:
        assert one == other


def test_every_weight_and_every_table_part_learns(name: str, demo_store: Store, configure: Configure) -> None:
    trainer = Trainer.build(configure(name, demo_store), demo_store, Host(World()))
    before = {side: table.local_rows()[1].clone() for side, table in trainer.state.tables.items()}
    steps(trainer, 1)
    for weight, parameter in trainer.state.model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, weight
    assert before, "no table"
    for side, table in trainer.state.tables.items():
        moved = table.local_rows()[1] != before[side]
        for part, columns in table.columns.items():
            assert moved[:, columns].any(), f"{side}.{part}"


@pytest.mark.parametrize("modalities", [[], ["visual"], ["visual", "acoustic", "textual"]], ids=len)
def test_any_number_of_modalities(name: str, modalities: list[str], demo_store: Store, configure: Configure) -> None:
    config = configure(name, demo_store, f"data.modalities={modalities}")
    if not modalities and MODELS[name].needs_content:
        with pytest.raises(UserError, match=r"no modality.*prepare\.modalities.*model\.name=lightgcn"):
            Trainer.build(config, demo_store, Host(World()))
        return
    trainer = Trainer.build(config, demo_store, Host(World()))
    assert set(trainer.state.model.modalities) <= set(modalities)
    assert all(math.isfinite(loss) for loss in steps(trainer, 2))


def test_the_seed_decides_everything(name: str, demo_store: Store, configure: Configure) -> None:
    def run(seed: int) -> tuple[list[float], torch.Tensor]:
        trainer = Trainer.build(configure(name, demo_store, f"run.seed={seed}"), demo_store, Host(World()))
        losses = steps(trainer, 3)
        return losses, infer(trainer.state.model, trainer.state.tables, demo_store, World()).users

    first = run(1)
    torch.manual_seed(99)  # nothing may depend on what was drawn before
    again, other = run(1), run(2)
    assert first[0] == again[0] and torch.equal(first[1], again[1])
    assert first[0] != other[0] and not torch.equal(first[1], other[1])


def test_a_checkpoint_is_the_state_bit_for_bit(
    name: str, demo_store: Store, configure: Configure, tmp_path: Path
) -> None:
    trainer = Trainer.build(configure(name, demo_store), demo_store, Host(World()))
    steps(trainer, 3)
    trainer.state.save(tmp_path / "saved", World(), {"epoch": 7})
    other = Trainer.build(configure(name, demo_store, "run.seed=5"), demo_store, Host(World()))
    other.state.written_by.pop("seed")  # whose other first values show that all were loaded
    assert other.state.load(tmp_path / "saved", World()) == {"epoch": 7}
    for side, table in trainer.state.tables.items():
        assert_same_value(other.state.tables[side].state_dict(), table.state_dict())
    assert_same_value(dict(other.state.model.state_dict()), dict(trainer.state.model.state_dict()))
    batch = trainer.loader.batch(0, 3)
    assert float(trainer.train_step(batch)) == float(other.train_step(batch))
    for side, table in trainer.state.tables.items():  # the optimizers came along: the next step is the same too
        assert torch.equal(table.local_rows()[1], other.state.tables[side].local_rows()[1])
    assert_same_value(dict(other.state.model.state_dict()), dict(trainer.state.model.state_dict()))


def test_forward_leaves_its_batch_alone(name: str, demo_store: Store, configure: Configure) -> None:
    trainer = Trainer.build(configure(name, demo_store), demo_store, Host(World()))
    batch = trainer.loader.batch(0, 0)
    before = copy.deepcopy(batch)
    losses = losses_of(trainer, batch)
    assert losses.shape == (64,)
    losses.mean().backward()
    assert_same_value(batch, before)
    assert torch.equal(losses, losses_of(trainer, batch)), "a second pass over the same batch differs"


def test_an_empty_slice_has_no_loss_and_a_gradient_of_zero(name: str, demo_store: Store, configure: Configure) -> None:
    total = len(demo_store.interactions("train"))
    config = configure(name, demo_store, f"sampler.batch_size={total - 1}")
    trainer = Trainer.build(config, demo_store, Host(World()))
    last = Loader(demo_store, trainer.state.model, config.sampler, 1, World(0, 2)).batch(0, 1)  # of two workers
    assert last.global_size == 1 and len(last.users) == 0
    losses = losses_of(trainer, last)
    assert losses.shape == (0,)
    losses.sum().backward()
    for weight, parameter in trainer.state.model.named_parameters():
        assert parameter.grad is not None and not parameter.grad.any(), f"{weight}: DDP waits for every gradient"
    assert float(trainer.train_step(last)) == 0.0


def test_bfloat16_autocast(name: str, demo_store: Store, configure: Configure) -> None:
    half = Trainer.build(configure(name, demo_store, "train.precision=bfloat16"), demo_store, Host(World()))
    full = Trainer.build(configure(name, demo_store), demo_store, Host(World()))
    rounded, exact = (trainer.loader.batch(0, 0).around.features for trainer in (half, full))
    for modality, feature in rounded.items():
        if feature.values is not None:
            assert torch.equal(feature.values, exact[modality].values.bfloat16())
    losses = steps(half, 3)
    assert losses == pytest.approx(steps(full, 3), rel=0.02)
    found = infer(half.state.model, half.state.tables, demo_store, World())
    assert found.users.dtype == torch.float32 and found.users.isfinite().all() and found.items.isfinite().all()


def test_float64_runs_through(name: str, demo_store: Store, configure: Configure) -> None:
    """The dense references of the other tests need it."""
    trainer = Trainer.build(configure(name, demo_store), demo_store, Host(World()))
    batch = to_dtype(trainer.loader.batch(0, 0), torch.float64)
    model = copy.deepcopy(trainer.state.model).double()
    graph = batch.around.subgraph
    rows = {side: table.fetch(getattr(graph, side)).double() for side, table in trainer.state.tables.items()}
    losses = model(batch, rows.get("users"), rows.get("items"))
    assert losses.dtype == torch.float64 and losses.isfinite().all()


USERS, ITEMS, WIDTH = 24, 20, 6


@pytest.fixture(scope="module")
def checkerboard(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Users and items of two colours: a user has every item of its colour, one held out for each of the other splits.

    The content of an item carries its colour. The answer is known: all that is left of the user's colour ranks first.
    One more user and item are isolated in the training graph.
    """
    folder = tmp_path_factory.mktemp("checkerboard")
    generator = np.random.default_rng(0)
    rows = []
    for user in range(USERS):
        liked = generator.permutation(np.arange(user % 2, ITEMS, 2))
        rows += [(user, int(item), 0) for item in liked[2:]]
        rows += [(user, int(liked[0]), 1), (user, int(liked[1]), 2)]
    rows.append((USERS, ITEMS, 1))  # nobody trains on these two
    pl.DataFrame(rows, schema=["userID", "itemID", "x_label"], orient="row").write_csv(
        folder / "board.inter", separator="\t"
    )
    colours = np.where(np.arange(ITEMS + 1)[:, None] % 2, 1.0, -1.0) * np.ones(WIDTH)
    np.save(folder / "content.npy", (colours + 0.3 * generator.standard_normal(colours.shape)).astype(np.float32))
    config = PrepareConfig(format="mmrec", input=str(folder), modalities={"visual": "content.npy"}, num_co_users=50)
    return Store.open(prepare(config, folder / "store", say=lambda line: None))


def test_isolated_nodes_have_finite_representations(name: str, checkerboard: Store, configure: Configure) -> None:
    users, items = np.array([USERS], dtype=np.int32), np.array([ITEMS], dtype=np.int32)
    assert not checkerboard.user_item.degrees(users).any() and not checkerboard.item_user.degrees(items).any()
    config = configure(name, checkerboard)
    state = make_state(config, checkerboard, World())
    around = Loader(checkerboard, state.model, config.sampler, 1, World()).neighborhood(
        Wanted(users, items), key(1, 0, 0, 0)
    )
    rows = {side: table.fetch(getattr(around.subgraph, side)) for side, table in state.tables.items()}
    found = state.model.represent(around, rows.get("users"), rows.get("items"))
    for vectors in found:
        assert vectors.shape[0] == 1 and vectors.isfinite().all()
        vectors.sum().backward(retain_graph=True)
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in state.model.parameters())
    exact = infer(state.model, state.tables, checkerboard, World())
    assert exact.users.isfinite().all() and exact.items.isfinite().all()
    torch.testing.assert_close(found[0], exact.users[users.astype(np.int64)])
    torch.testing.assert_close(found[1], exact.items[items.astype(np.int64)])


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Every third item of the catalogue is in no interaction."""
    folder = tmp_path_factory.mktemp("catalogue")
    generator = np.random.default_rng(0)
    items = np.setdiff1d(np.arange(30), np.arange(0, 30, 3))
    rows = [(user, int(item)) for user in range(15) for item in generator.choice(items, 8, replace=False)]
    pl.DataFrame(rows, schema=["user", "item"], orient="row").write_csv(folder / "log.csv")
    vectors = generator.standard_normal((30, WIDTH)).astype(np.float32)
    pl.DataFrame({"item": np.arange(30), "v": vectors.tolist()}).write_parquet(folder / "visual.parquet")
    config = PrepareConfig(
        format="table",
        input=str(folder / "log.csv"),
        modalities={"visual": "visual.parquet"},
        split="random",
        cold_items="keep",
    )
    return Store.open(prepare(config, folder / "store", say=lambda line: None))


def test_items_without_an_interaction_are_ranked_by_their_content(
    name: str, catalogue: Store, configure: Configure
) -> None:
    assert catalogue.manifest.num_items == 30
    trainer = Trainer.build(configure(name, catalogue, "train.epochs=1"), catalogue, Host(World()))
    outcome = trainer.fit()
    reads_content = bool(trainer.state.model.modalities)
    assert list(outcome.test_by_candidates) == (["all", "warm"] if reads_content else ["warm"])
    assert len(outcome.representations.items) == 30 and outcome.representations.items.isfinite().all()
    metrics = [value for values in outcome.test_by_candidates.values() for value in values.values()]
    assert all(math.isfinite(value) for value in metrics)
    assert outcome.test_by_candidates["warm"]["recall@20"] == 1.0, "a list holds all items with an interaction"
    if reads_content:
        assert outcome.test_by_candidates["all"] != outcome.test_by_candidates["warm"], "no cold item was ranked"


def test_learns_a_checkerboard(name: str, checkerboard: Store, configure: Configure) -> None:
    overrides = ["train.epochs=20", "train.eval_every=20", "optimizer.learning_rate=0.03", "evaluation.ks=[1,2]"]
    config = configure(name, checkerboard, *overrides, "train.metric=recall@2")
    outcome = Trainer.build(config, checkerboard, Host(World())).fit()
    assert outcome.test["num_users"] == USERS
    assert outcome.test["recall@1"] == 1.0
    assert outcome.progress.validation["recall@2"] == USERS / (USERS + 1)  # one is isolated, as is its item
    history = [json.loads(line) for line in (config.run.folder / "history.jsonl").read_text().splitlines()]
    losses = [line["training"]["loss"] for line in history if "training" in line]
    # The graph alone would rank well: it must also learn. The held-out items as negatives keep the loss above 0.
    assert len(losses) == 20 and sum(losses[-5:]) < 0.8 * sum(losses[:5])
