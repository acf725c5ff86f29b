"""A run that goes on, and one that is ranked again, is the run that was started: nothing else passes under its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dualgnn_dist import evaluate, prepare, train
from dualgnn_dist.training.load import load

Call = Callable[..., Any]


@pytest.fixture
def other_store(write_config: Callable[..., Path], call: Call, tmp_path: Path) -> Path:
    """As large as the tiny store, split by another seed."""
    path = tmp_path / "other_store"
    assert call(prepare.main, "--config", write_config(), "--output", path, "prepare.seed=7").code == 0
    return path


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.learning_rate=0.1", "optimizer.learning_rate=0.003, the config says 0.1"),
        ("sampler.batch_size=100", "sampler.batch_size=512, the config says 100"),
        ("run.seed=5", "run.seed=1, the config says 5"),
        ("train.metric=ndcg@20", "train.metric='recall@20', the config says 'ndcg@20'"),
        ("model.name=lightgcn", "model.name='dualgnn', the config says 'lightgcn'"),
        ("evaluation.ks=[20]", "evaluation.ks=[5, 10, 20, 50], the config says [20]"),
    ],
)
def test_a_resumed_run_computes_what_it_was_started_with(
    override: str, message: str, trained: Callable[..., Path], write_config: Callable[..., Path], refused: Call
) -> None:
    run = trained({"train.epochs": 1})
    before = (run / "config.yaml").read_text()
    said = refused(train.main, "--config", write_config(), "--resume", override)
    assert f"the run {run} was started with {message}" in said and "run.name" in said
    assert (run / "config.yaml").read_text() == before


def test_a_finished_run_goes_on_for_more_epochs(
    trained: Callable[..., Path], write_config: Callable[..., Path], call: Call
) -> None:
    run = trained({"train.epochs": 1})
    said = call(train.main, "--config", write_config({"train.epochs": 2, "sampler.threads": 2}), "--resume")
    assert said.code == 0 and "resumed from" in said.output and "epoch 2/2" in said.output, said
    assert load(run / "config.yaml").train.epochs == 2
    assert len((run / "history.jsonl").read_text().splitlines()) == 4


def test_half_a_line_of_history_does_not_stop_a_run_from_going_on(
    trained: Callable[..., Path], write_config: Callable[..., Path], call: Call
) -> None:
    run = trained({"train.epochs": 1})
    whole = (run / "history.jsonl").read_text()
    (run / "history.jsonl").write_text(whole + '{"epoch": 2, "trai')
    assert call(train.main, "--config", write_config({"train.epochs": 1}), "--resume").code == 0
    assert (run / "history.jsonl").read_text() == whole


def test_the_state_of_one_store_is_not_read_on_another(
    trained: Callable[..., Path], write_config: Callable[..., Path], other_store: Path, refused: Call
) -> None:
    """The tables have the same sizes, but their rows are of other users."""
    run = trained({"train.epochs": 1})
    there = f"data.store={other_store}", "prepare.seed=7"
    assert "was written with the store" in refused(evaluate.main, "--run", run, *there)
    more = write_config({"train.epochs": 2})
    assert "was written with the store" in refused(train.main, "--config", more, "--resume", *there)


def test_a_name_in_use_is_refused_before_the_data_are_made(
    trained: Callable[..., Path], write_config: Callable[..., Path], refused: Call, tmp_path: Path
) -> None:
    trained({"train.epochs": 1})
    missing = tmp_path / "missing"
    assert "exists" in refused(train.main, "--config", write_config({"data.store": str(missing)}))
    assert not missing.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run.output": "FILE"}, "cannot be written (Not a directory); choose another place with run.output"),
        ({"data.store": "FILE/store"}, "file/store cannot be written (Not a directory); choose another folder"),
        ({"resources.use_gpu": True}, "torch finds no GPU here; leave it out to train on CPUs"),
        ({"run.seed": 1 << 63}, "seed=9223372036854775808 must be below 2^63"),
        ({"prepare.options.seed": 1 << 63, "data.store": "new"}, "seed=9223372036854775808 must be below 2^63"),
    ],
)
def test_places_and_devices_that_are_not_there(
    changes: dict[str, Any],
    message: str,
    write_config: Callable[..., Path],
    refused: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    file = tmp_path / "file"
    file.write_text("in the way")
    changes = {
        key: value.replace("FILE", str(file)) if isinstance(value, str) else value for key, value in changes.items()
    }
    assert message in refused(train.main, "--config", write_config(changes))
    assert not (tmp_path / "runs" / "tiny").exists()


def test_an_empty_feature_file_and_a_folder_for_a_file(refused: Call, tmp_path: Path) -> None:
    (tmp_path / "clicks.csv").write_text("user,item\n1,2\n")
    (tmp_path / "empty.npy").touch()
    table = "prepare.format=table", "prepare.split=random"
    said = refused(prepare.main, "--output", tmp_path / "store", *table, f"prepare.input={tmp_path}")
    assert f"{tmp_path} holds files of several kinds (empty.npy, clicks.csv); name those of the log" in said
    input_and_features = f"prepare.input={tmp_path / 'clicks.csv'}", "prepare.modalities.visual=empty.npy"
    said = refused(prepare.main, "--output", tmp_path / "store", *table, *input_and_features)
    assert "empty.npy is not a .npy file of numbers" in said


def test_a_run_leaves_the_arithmetic_of_its_caller_alone(trained: Callable[..., Path]) -> None:
    smallest = torch.tensor(torch.finfo(torch.float32).tiny)
    assert float(smallest / 2) > 0
    trained({"train.epochs": 1})
    assert float(smallest / 2) > 0, "numbers below the smallest normal one are still flushed to zero"
