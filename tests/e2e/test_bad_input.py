"""Everything a user can get wrong ends in one message with cause and cure, exit code 2, and nothing half-written."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from dualgnn_dist import __main__, evaluate, prepare, train
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.schema import checksum
from dualgnn_dist.launch import ray_train
from dualgnn_dist.training import checkpoint
from dualgnn_dist.training.checkpoint.manifest import FileInfo
from dualgnn_dist.training.load import load

Refused = Callable[..., str]
WriteConfig = Callable[..., Path]


@pytest.fixture(autouse=True)
def nothing_half_written(tmp_path: Path) -> Any:
    """After every refusal here: no run folder without a finished epoch, no unfinished store."""
    yield
    assert [path for path in tmp_path.rglob("*") if "unfinished" in path.name or path.name.endswith(".partial")] == []
    for config in (tmp_path / "runs").glob("*/config.yaml"):
        assert (config.parent / "history.jsonl").exists(), f"{config.parent} blocks the next try"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer.learning_rat": 0.1}, "unknown config key 'optimizer.learning_rat'; did you mean 'learning_rate'?"),
        ({"trian.epochs": 3}, "unknown config section 'trian'; did you mean 'train'?"),
        ({"model.widht": 8}, "unknown config key 'model.widht'; did you mean 'width'?"),
        ({"prepare.options.num_user": 8}, "'prepare.options.num_user'; did you mean 'num_users'?"),
        ({"train.epochs": "many"}, "train.epochs='many' must be a whole number, not str"),
        ({"train.epochs": 0}, "config section 'train': epochs, eval_every and patience must be at least 1"),
        ({"resources.use_gpu": "yes"}, "resources.use_gpu='yes' must be true or false, not str"),
        ({"model.name": "dualgn"}, "unknown model 'dualgn'; did you mean 'dualgnn'?"),
        ({"model.fusion": "sum"}, "model.fusion='sum' is not one of weighted_sum, mean, max, concat_mlp"),
        ({"train.metric": "recal@20"}, "train.metric='recal@20' is not among the metrics; did you mean 'recall@20'?"),
        ({"prepare.format": "mmrek"}, "unknown format 'mmrek'; did you mean 'mmrec'?"),
        ({"data.modalities": ["visuel"]}, "data.modalities names 'visuel', the store"),
        ({"model.max_co_users": 500}, "lower model.max_co_users"),
        ({"run.name": "a/b"}, "'a/b' must be a plain folder name"),
        ({"data.store": None}, "config key 'data.store' is missing and has no default"),
    ],
)
def test_a_config_that_is_wrong(
    changes: dict[str, Any], message: str, write_config: WriteConfig, refused: Refused
) -> None:
    assert message in refused(train.main, "--config", write_config(changes))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs", "override 'epochs' must read section.key=value"),
        ("epochs=3", "override 'epochs=3' must read section.key=value"),
        ("train.epochs=[1", "the value of override 'train.epochs=[1' cannot be read"),
        ("run.seed.x=1", "run.seed is a value, not a section"),
        ("optimizer.learning_rate=fast", "optimizer.learning_rate='fast' must be a number"),
    ],
)
def test_an_override_that_is_wrong(override: str, message: str, write_config: WriteConfig, refused: Refused) -> None:
    assert message in refused(train.main, "--config", write_config({"run.seed": 1}), override)


def test_a_config_file_that_is_not_there_or_not_yaml(
    write_config: WriteConfig, refused: Refused, tmp_path: Path
) -> None:
    there = write_config(name="tiktok.yaml")
    assert f"YAML files in that folder: {there}" in refused(train.main, "--config", tmp_path / "tictoc.yaml")
    there.write_text("model: [")
    assert "cannot be read as YAML" in refused(train.main, "--config", there)
    there.write_text("just words")
    assert "must hold sections" in refused(train.main, "--config", there)


def test_an_unknown_verb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["dualgnn-dist", "trian"])
    with pytest.raises(SystemExit) as stop:
        __main__.main()
    assert stop.value.code == 2
    assert "unknown verb 'trian'; did you mean 'train'?" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["", "train", "prepare", "evaluate"])
def test_help_fits_a_screen_and_shows_an_example(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.argv", ["dualgnn-dist", *([verb] if verb else []), "--help"])
    try:
        __main__.main()
    except SystemExit as stop:
        assert not stop.code
    shown = capsys.readouterr().out
    rows = sum(-(-len(line) // 80) or 1 for line in shown.splitlines())
    assert rows <= 24, shown
    assert "example:\n" in shown and (f"dualgnn_dist.{verb} " in shown or not verb)


def test_raw_data_that_is_wrong(refused: Refused, tmp_path: Path) -> None:
    output = tmp_path / "store"

    def message(*overrides: str) -> str:
        said = refused(prepare.main, "--output", output, *overrides)
        assert not output.exists()
        return said

    table = "prepare.format=table", f"prepare.input={tmp_path / 'clicks.csv'}", "prepare.split=random"
    assert "clicks.csv does not exist; did you mean" not in message(*table)
    (tmp_path / "clocks.csv").write_text("user,item\n1,2\n")
    assert "clicks.csv does not exist; did you mean 'clocks.csv'?" in message(*table)
    (tmp_path / "clicks.csv").write_text("user_id,item\n1,2\n")
    assert "has no column 'user'; did you mean 'user_id'?" in message(*table)
    assert "unknown format 'tabel'; did you mean 'table'?" in message("prepare.format=tabel")
    assert "is not a folder" in message("prepare.format=mmrec", f"prepare.input={tmp_path / 'tiktok'}")
    assert "nothing says what to prepare" in message()
    folder = tmp_path / "mmrec"
    folder.mkdir()
    (folder / "x.inter").write_text("userID\titemID\tlabel\n0\t0\t0\n")
    assert "has no column 'x_label'; did you mean 'label'?" in message(
        "prepare.format=mmrec", f"prepare.input={folder}"
    )


def test_prepare_needs_a_place_and_does_not_replace_what_is_there(
    refused: Refused, write_config: WriteConfig, tiny_store: Path
) -> None:
    assert "where to? name the store's folder with --output" in refused(prepare.main, "prepare.format=synthetic")
    said = refused(prepare.main, "--config", write_config())
    assert f"{tiny_store} is a store already" in said and "overwrite" in said


def test_a_run_that_exists_and_one_that_does_not(
    refused: Refused, trained: Callable[..., Path], write_config: WriteConfig
) -> None:
    config = write_config({"train.epochs": 1})
    said = refused(train.main, "--config", config, "--resume")
    assert "there is no run to resume at" in said and "leave out --resume" in said
    run = trained({"train.epochs": 1})
    before = (run / "metrics.json").read_text()
    said = refused(train.main, "--config", config)
    assert f"the run {run} exists" in said and "--resume" in said and "run.name" in said
    assert (run / "metrics.json").read_text() == before


def test_stores_that_do_not_fit(refused: Refused, write_config: WriteConfig, tiny_store: Path, tmp_path: Path) -> None:
    said = refused(train.main, "--config", write_config({"prepare.k_core": 3}))
    assert "was made with prepare.k_core=0, the config says 3" in said and "data.store" in said
    said = refused(train.main, "--config", write_config({"prepare": None, "data.store": str(tmp_path / "none")}))
    assert "there is no store at" in said and "prepare section" in said

    future = tmp_path / "future"
    shutil.copytree(tiny_store, future)
    manifest = json.loads((future / "manifest.json").read_text())
    (future / "manifest.json").write_text(json.dumps({**manifest, "format_version": 99}))
    said = refused(train.main, "--config", write_config({"data.store": str(future)}))
    assert "format version 99, this program reads version 1" in said and "`prepare`" in said
    (future / "manifest.json").unlink()
    assert "unfinished" in refused(train.main, "--config", write_config({"data.store": str(future)}))


def test_a_model_that_the_data_cannot_feed(refused: Refused, write_config: WriteConfig, tmp_path: Path) -> None:
    """The store stays, for a model that it can feed; the run's name stays free."""
    raw, store = tmp_path / "raw", tmp_path / "store"
    raw.mkdir()
    for split, item in (("train", "0 1 2"), ("valid", "3"), ("test", "4")):
        (raw / f"{split}.txt").write_text("".join(f"{user} {item}\n" for user in range(5)))
    data = {"prepare": {"format": "adjacency", "input": str(raw)}, "data.store": str(store)}
    config = write_config({**data, "train.epochs": 1, "evaluation.ks": [2], "train.metric": "recall@2"})
    said = refused(train.main, "--config", config)
    assert "modalit" in said and "lightgcn" in said
    assert not (tmp_path / "runs").exists()
    config.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "model": {"name": "lightgcn"}}))
    train.main(["--config", str(config)])


def test_training_that_diverges_names_the_learning_rate(
    refused: Refused, write_config: WriteConfig, tmp_path: Path
) -> None:
    said = refused(train.main, "--config", write_config({"optimizer.learning_rate": 1e30}))
    assert "training has diverged: step " in said and "begin anew with a lower rate" in said
    assert "--resume optimizer.learning_rate=1e+29 (it is 1e+30)" in said
    (kept,) = (tmp_path / "runs" / "tiny").glob("diverged-*.json")
    assert str(kept) in said


def test_evaluate_needs_a_finished_run(
    refused: Refused, trained: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "there is no such folder" in refused(evaluate.main, "--run", tmp_path / "none")
    run = trained({"train.epochs": 1})
    (run / "metrics.json").rename(run / "kept.json")
    assert "finish it with `train --resume`" in refused(evaluate.main, "--run", run)
    (run / "kept.json").rename(run / "metrics.json")
    said = refused(evaluate.main, "--run", run, "data.store=/nowhere")
    assert "/nowhere is not a store" in said
    shutil.rmtree(run / "checkpoints")
    assert "no complete checkpoint" in refused(evaluate.main, "--run", run)


def test_more_workers_than_the_machine_has(
    monkeypatch: pytest.MonkeyPatch, write_config: WriteConfig, tmp_path: Path
) -> None:
    """Ray would wait for them without end. A cluster may still grow, so there it is Ray's decision."""
    monkeypatch.setattr(ray_train.ray, "nodes", lambda: [{}])
    monkeypatch.setattr(ray_train.ray, "cluster_resources", lambda: {"CPU": 2.0})
    config = load(write_config(), ["resources.num_workers=3"])
    with pytest.raises(UserError, match=r"3 workers need 3 CPUs and this machine has 2; lower resources\.num_workers"):
        ray_train.check_resources(config)
    with pytest.raises(UserError, match=r"1 workers need 1 GPUs and this machine has 0"):
        ray_train.check_resources(load(write_config(), ["resources.num_workers=1", "resources.use_gpu=true"]))
    ray_train.check_resources(load(write_config(), ["resources.num_workers=2"]))
    ray_train.check_resources(load(write_config(), ["resources.num_workers=[2, 8]"]))
    monkeypatch.setattr(ray_train.ray, "nodes", lambda: [{}, {}])
    ray_train.check_resources(config)


class Malicious:
    """Its pickle creates a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_pickles_of_features_run_nothing(refused: Refused, tmp_path: Path) -> None:
    raw, touched = tmp_path / "raw", tmp_path / "touched"
    raw.mkdir()
    (raw / "x.inter").write_text("userID\titemID\tx_label\n0\t0\t0\n1\t0\t1\n")
    for attack in (np.array([Malicious(touched)], dtype=object), None):
        if attack is None:
            (raw / "f.npy").write_bytes(pickle.dumps(Malicious(touched)))
        else:
            np.save(raw / "f.npy", attack, allow_pickle=True)
        arguments = "prepare.format=mmrec", f"prepare.input={raw}", "prepare.modalities.visual=f.npy"
        said = refused(prepare.main, "--output", tmp_path / "store", *arguments)
        assert f"{raw / 'f.npy'} is not a .npy file of numbers" in said
        assert not touched.exists()
        raw.joinpath("f.npy").unlink()


def test_pickles_of_item_ids_run_nothing(refused: Refused, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    (tmp_path / "clicks.csv").write_text("user,item\n1,2\n")
    np.save(tmp_path / "f.npy", np.ones((1, 2), dtype=np.float32))
    np.save(tmp_path / "ids.npy", np.array([Malicious(touched)], dtype=object), allow_pickle=True)
    arguments = (
        "prepare.format=table",
        f"prepare.input={tmp_path / 'clicks.csv'}",
        "prepare.modalities.visual=f.npy",
        "prepare.options.item_id_files.visual=ids.npy",
    )
    said = refused(prepare.main, "--output", tmp_path / "store", *arguments)
    assert f"{tmp_path / 'ids.npy'} is not a .npy file of numbers" in said
    assert not touched.exists()


@pytest.mark.parametrize("file", ["dense.pt", "users-00000-of-00001.pt"])
def test_pickles_of_checkpoints_run_nothing(
    file: str, refused: Refused, trained: Callable[..., Path], tmp_path: Path
) -> None:
    run, touched = trained({"train.epochs": 1}), tmp_path / "touched"
    folder = run / "checkpoints" / "epoch-00001"
    manifest = checkpoint.describe(folder)
    torch.save(Malicious(touched), folder / file)
    assert file in refused(evaluate.main, "--run", run), "its checksum is another"
    info = FileInfo(bytes=(folder / file).stat().st_size, blake2b=checksum(folder / file))
    checkpoint.manifest.write(folder / "checkpoint.json", replace(manifest, files={**manifest.files, file: info}))
    said = refused(evaluate.main, "--run", run)
    assert file in said and "holds something else than tensors" in said and "take another checkpoint" in said
    assert "weights_only" not in said, "torch's words recommend to run it"
    assert not touched.exists()
    (folder / file).write_bytes(pickle.dumps(Malicious(touched)))
    assert file in refused(evaluate.main, "--run", run)
    assert not touched.exists()
