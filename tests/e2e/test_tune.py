"""A sweep for real: Ray Train runs as trials, one that fails, a program killed and resumed, a winner measured once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from dualgnn_dist import train, tune
from dualgnn_dist.base.storage.locks import only_writer
from dualgnn_dist.training.load import load

# The file's own learning rate comes first and cannot work; the numbers of layers make the other trials differ.
SWEEP = {
    "resources.num_workers": 1,
    "model.name": "lightgcn",
    "optimizer.learning_rate": 1e30,
    "train.epochs": 2,
    "run.name": None,
    "search": {
        "optimizer.learning_rate": {"choice": [1e30, 0.01, 0.02, 0.03]},
        "model.regularization": {"loguniform": [1e-5, 1e-3]},
    },
    "sweep": {"trials": 3, "stopper": "none", "name": "sweep", "seed": 3},
}


def records(folder: Path) -> list[dict[str, Any]]:
    path = folder / "trials.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_three_trials_with_a_failure_killed_and_resumed(
    write_config: Callable[..., Path], start: Callable[..., Any], tmp_path: Path, call: Callable[..., Any]
) -> None:
    config, folder = write_config(SWEEP), tmp_path / "runs" / "sweep"
    program = start("dualgnn_dist.tune", ["--config", config], tmp_path)
    program.wait_for(lambda: records(folder), "the end of a trial")
    program.end()
    before = records(folder)
    assert 1 <= len(before) < 3, "killed too late: the test shows nothing"
    assert not (folder / "winner.json").exists()

    program = start("dualgnn_dist.tune", ["--config", config, "--resume"], tmp_path)
    assert program.wait() == 0, program.output
    assert not program.leftovers()
    trials = records(folder)
    assert trials[: len(before)] == before and len(trials) == 3
    failed = [trial for trial in trials if trial["state"] == "failed"]
    assert failed and failed[0]["params"]["optimizer.learning_rate"] == "1e+30" and failed[0]["value"] is None
    assert failed[0]["error"].startswith("training has diverged: step "), "the reason, not a traceback"
    assert program.complaints == []

    winner = json.loads((folder / "winner.json").read_text())
    best = max((trial for trial in trials if trial["value"] is not None), key=lambda trial: trial["value"])
    assert winner["number"] == best["number"] and winner["params"] == best["params"]
    assert winner["validation"]["recall@20"] == pytest.approx(best["value"])
    measured = sorted(folder.glob("trials/*/*/metrics.json"))
    assert [path.parent for path in measured] == [folder / winner["run_folder"]], "test items are looked at once"
    kept = {path.parent.parent.parent for path in folder.glob("trials/*/*/checkpoints/*/checkpoint.json")}
    assert kept == {folder / winner["run_folder"]}, "only the winner's state is kept"

    study = optuna.load_study(study_name="sweep", storage=f"sqlite:///{folder / 'optuna.db'}")
    values = {trial.number: trial.value for trial in study.trials}
    assert all(values[trial["number"]] == trial["value"] for trial in trials)
    assert load(folder / "best.yaml").optimizer.learning_rate == float(best["params"]["optimizer.learning_rate"])
    again = call(train.main, "--config", folder / "best.yaml", "resources.num_workers=0")
    assert again.code == 0, again
    metrics = json.loads((tmp_path / "runs" / "sweep_best" / "metrics.json").read_text())
    assert metrics["test"]["recall@20"] == pytest.approx(winner["test"]["recall@20"], abs=2e-3)


def test_several_seeds_in_the_trials_own_processes(
    write_config: Callable[..., Path], start: Callable[..., Any], tmp_path: Path
) -> None:
    settings = {
        **SWEEP,
        "resources.num_workers": 0,
        "optimizer.learning_rate": 0.01,
        "train.epochs": 4,
        "search": {"optimizer.learning_rate": {"loguniform": [1e-3, 1e-1]}},
        "sweep": {"trials": 4, "seeds": 2, "grace_epochs": 1, "reduction": 2, "name": "seeds"},
    }
    folder = tmp_path / "runs" / "seeds"
    program = start("dualgnn_dist.tune", ["--config", write_config(settings)], tmp_path)
    assert program.wait() == 0, program.output
    assert not program.leftovers()
    complete = [trial for trial in records(folder) if trial["state"] == "complete"]
    assert len(records(folder)) == 4 and complete
    for trial in complete:
        assert len(trial["seed_values"]) == 2
        assert trial["value"] == pytest.approx(sum(trial["seed_values"]) / 2)
    winner = json.loads((folder / "winner.json").read_text())
    by_seed = [found["recall@20"] for found in winner["test_by_seed"]]
    assert len(by_seed) == 2 and winner["test"]["recall@20"] == pytest.approx(sum(by_seed) / 2)
    assert (folder / "parallel.png").read_bytes().startswith(b"\x89PNG")


def test_bad_sweeps_are_refused(refused: Callable[..., str], write_config: Callable[..., Path], tmp_path: Path) -> None:
    assert "has no search section" in refused(tune.main, "--config", write_config())
    unknown = write_config({**SWEEP, "search": {"model.widht": {"int": [1, 2]}}})
    assert "did you mean 'width'" in refused(tune.main, "--config", unknown)
    assert not (tmp_path / "runs").exists(), "nothing was begun"
    broken = write_config({**SWEEP, "sweep": {**SWEEP["sweep"], "study": "sqlte:///x.db"}})
    assert "sweep.study='sqlte:///x.db' cannot be opened" in refused(tune.main, "--config", broken)
    assert not (tmp_path / "runs" / "sweep").exists(), "the name is free again"
    for resume in ((), ("--resume",)):
        with only_writer(tmp_path / "runs" / "sweep", "the sweep", print):
            assert "is being written by process" in refused(tune.main, "--config", write_config(SWEEP), *resume)
    shared = f"sqlite:///{tmp_path / 'shared.db'}"
    optuna.create_study(study_name="sweep", storage=shared).set_user_attr("dualgnn_dist_sweep", {"id": "another"})
    taken = write_config({**SWEEP, "sweep": {**SWEEP["sweep"], "study": shared}})
    assert "the study 'sweep' in sqlite" in refused(tune.main, "--config", taken)
    assert not (tmp_path / "runs" / "sweep").exists() and optuna.get_all_study_names(shared) == ["sweep"]


def test_a_secret_of_the_study_is_not_repeated(refused: Callable[..., str], write_config: Callable[..., Path]) -> None:
    url = "postgresql://me:hunter2@localhost/studies"
    for place in ({"sweep": {**SWEEP["sweep"], "study": url}}, {}):
        config = write_config({**SWEEP, **place})
        message = refused(tune.main, "--config", config, *([] if place else [f"sweep.study={url}"]))
        assert "DUALGNN_STUDY_PASSWORD" in message and "hunter2" not in message
