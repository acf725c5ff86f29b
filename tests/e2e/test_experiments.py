"""Missing modalities, new items, other negatives: what a researcher turns on in a config, and what comes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dualgnn_dist import train
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation import representations
from dualgnn_dist.sampling.loader import Loader
from dualgnn_dist.training.evaluator import evaluate_best
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.load import load
from dualgnn_dist.training.state import make_model

WriteConfig = Callable[..., Path]
COLD = {"prepare.split": "cold_items", "prepare.cold_share": 0.2, "train.epochs": 2}


def metrics_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "metrics.json").read_text())


@pytest.mark.parametrize("model", ["dualgnn", "mmgcn", "vbpr"])
def test_items_that_miss_everything_still_rank(model: str, trained: Callable[..., Path]) -> None:
    changes = {"model": {"name": model, "width": 8}, "data.drop_modality": {"share": 0.9}, "run.name": "hidden"}
    hidden = trained(changes)
    shown = trained({**changes, "data.drop_modality": None, "run.name": "shown"})
    items = [representations.read(run / "representations" / "items.arrow").vectors for run in (hidden, shown)]
    assert np.isfinite(items[0]).all() and (items[0] != items[1]).any()
    values = [metrics_of(run)["test"] for run in (hidden, shown)]
    assert values[0]["num_users"] == values[1]["num_users"] and values[0] != values[1]


def test_a_model_without_content_does_not_notice_what_is_hidden(trained: Callable[..., Path]) -> None:
    changes = {"model": {"name": "lightgcn", "width": 8}, "data.drop_modality": {"share": 1.0}, "run.name": "hidden"}
    hidden, shown = trained(changes), trained({**changes, "data.drop_modality": None, "run.name": "shown"})
    assert metrics_of(hidden)["test"] == metrics_of(shown)["test"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"share": 0.5, "modality": "visuel"}, "data.drop_modality.modality='visuel' is neither 'any' nor a modality"),
        ({"share": 2}, "share=2.0 must lie in [0, 1]"),
        ({"shre": 0.5}, "unknown config key 'data.drop_modality.shre'; did you mean 'share'?"),
        ({}, "config key 'data.drop_modality.share' is missing"),
    ],
)
def test_hidden_content_that_makes_no_sense(
    change: dict[str, Any], message: str, write_config: WriteConfig, refused: Callable[..., str]
) -> None:
    assert message in refused(train.main, "--config", write_config({"data.drop_modality": change}))


def test_a_run_does_not_go_on_with_other_content(
    trained: Callable[..., Path], write_config: WriteConfig, refused: Callable[..., str]
) -> None:
    trained({"train.epochs": 1, "data.drop_modality": {"share": 0.5}})
    said = refused(train.main, "--config", write_config({"data.drop_modality": {"share": 0.6}}), "--resume")
    assert "data.drop_modality" in said


@pytest.fixture
def cold(tmp_path: Path) -> dict[str, Any]:
    return {**COLD, "data.store": str(tmp_path / "cold")}


def test_new_items_are_ranked_by_their_content(
    cold: dict[str, Any], write_config: WriteConfig, call: Callable[..., Any], tmp_path: Path
) -> None:
    said = call(train.main, "--config", write_config(cold))
    assert said.code == 0, said
    assert "warm items only" in said.output and "cold items only" in said.output
    run = tmp_path / "runs" / "tiny"
    written = metrics_of(run)
    assert list(written["test_by_candidates"]) == ["all", "warm", "cold"]
    assert written["test"] == written["test_by_candidates"]["all"]
    # Forty new items: a list of 50 holds them all.
    assert written["test_by_candidates"]["cold"]["recall@50"] == 1.0
    found = evaluate_best(load(run / "config.yaml"), Host(), "test")
    assert found == {key: pytest.approx(values) for key, values in written["test_by_candidates"].items()}


def test_a_model_of_interactions_alone_says_that_it_cannot(
    cold: dict[str, Any], write_config: WriteConfig, call: Callable[..., Any], tmp_path: Path
) -> None:
    said = call(train.main, "--config", write_config({**cold, "model": {"name": "lightgcn", "width": 8}}))
    assert said.code == 0, said
    assert "lightgcn knows items by their interactions alone: it cannot rank cold items" in said.output
    assert list(metrics_of(tmp_path / "runs" / "tiny")["test_by_candidates"]) == ["warm"]


def test_new_items_are_no_negatives_and_every_interaction_of_theirs_is_held_out(
    cold: dict[str, Any], write_config: WriteConfig, call: Callable[..., Any]
) -> None:
    path = write_config(cold)
    assert call(train.main, "--config", path).code == 0
    config = load(path)
    store = Store.open(config.data.store)
    is_cold = store.item_user.degrees() == 0
    assert is_cold.mean() == pytest.approx(0.2, abs=0.05)
    held = np.concatenate([store.interactions(split).items.to_numpy() for split in ("valid", "test")])
    assert np.isin(np.flatnonzero(is_cold), held).mean() > 0.9
    loader = Loader(store, make_model(config, store), config.sampler, 1, World())
    for step in range(loader.num_steps):
        batch = loader.batch(0, step)
        negatives = batch.around.subgraph.items[batch.negatives]
        assert not is_cold[negatives.numpy()].any()


def test_popular_negatives_and_several_change_what_is_drawn(write_config: WriteConfig, tiny_store: Path) -> None:
    store = Store.open(tiny_store)
    degrees = torch.from_numpy(store.item_user.degrees()).double()

    def negatives(**changes: Any) -> torch.Tensor:
        config = load(write_config({f"sampler.{key}": value for key, value in changes.items()}))
        batch = Loader(store, make_model(config, store), config.sampler, 1, World()).batch(0, 0)
        return batch.around.subgraph.items[batch.negatives]

    uniform, several = negatives(), negatives(num_negatives=4)
    assert uniform.shape == (512, 1) and several.shape == (512, 4) and torch.equal(several[:, :1], uniform)
    means = [
        float(degrees[negatives(negatives="popularity", negative_alpha=alpha)].mean()) for alpha in (0.0, 0.75, 1.5)
    ]
    assert float(degrees[uniform].mean()) == pytest.approx(means[0], rel=0.1) and means[0] < means[1] < means[2]


def test_dualgnn_exports_how_users_weigh_modalities(trained: Callable[..., Path]) -> None:
    run = trained({"train.epochs": 1})
    users = representations.read(run / "representations" / "users-00000-of-00001.arrow")
    assert list(users.columns) == ["weight_visual", "weight_acoustic", "weight_textual"]
    weights = np.stack(list(users.columns.values()), axis=1)
    assert weights.shape == (400, 3) and weights.dtype == np.float32
    assert weights.sum(axis=1) == pytest.approx(np.ones(400), abs=0.2) and weights.std(axis=0).min() > 0
    mean = trained({"train.epochs": 1, "model.fusion": "mean", "run.name": "mean"})
    assert representations.read(mean / "representations" / "users-00000-of-00001.arrow").columns == {}
