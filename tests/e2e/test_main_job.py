"""The main job as its first user meets it: one command on two Ray workers, and what survives when things die."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dualgnn_dist import evaluate, train
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation import representations
from dualgnn_dist.evaluation.beyond import NAMES
from dualgnn_dist.evaluation.evaluate import evaluate as evaluate_lists
from dualgnn_dist.evaluation.metrics import metric_keys
from dualgnn_dist.evaluation.popularity import by_popularity
from dualgnn_dist.training.evaluator import evaluate_best
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.load import load

KS = (5, 10, 20, 50)


def metrics_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "metrics.json").read_text())


def assert_same_numbers(ours: dict[str, float], theirs: dict[str, float], tolerance: float) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value, abs=tolerance), name


def test_one_command_on_two_ray_workers(
    write_config: Callable[..., Path], start: Callable[..., Any], call: Callable[..., Any], tmp_path: Path
) -> None:
    store, run = tmp_path / "new_store", tmp_path / "runs" / "tiny"
    config = write_config({"resources.num_workers": 2, "data.store": str(store)})
    program = start("dualgnn_dist.train", ["--config", config], tmp_path)
    assert program.wait() == 0, program.output
    assert not program.leftovers(), "processes are left behind"

    check_screen(program.lines, run, store)
    assert program.complaints == [], "standard error must be silent"
    check_run_folder(run, config, store)
    check_evaluate(run, call)

    again = call(train.main, "--config", config)
    assert again.code == 2 and "--resume" in again.error and str(run) in again.error


def check_screen(lines: list[str], run: Path, store: Path) -> None:
    """The store first, then what will run, every progress line once, the table, the run folder; nothing else."""
    said = "\n".join(lines)
    assert lines[0] == f"preparing {store}"
    order = [
        "preparing",
        "commit",
        "dualgnn, ",
        "Ray dashboard: http://127.0.0.1:",
        "epoch 1/3",
        "epoch 3/3",
        "test metrics",
    ]
    positions = [said.index(part) for part in order]
    assert positions == sorted(positions)
    assert re.search(r"dualgnn, [\d,]+ parameters, on 2 workers: 3 epochs of \d+ steps of 512 interactions", said)
    assert "400 users, 200 items" in said
    for epoch in (1, 2, 3):
        line = rf"epoch {epoch}/3  loss \d\.\d+  [\d.]+ s  [\d,]+ interactions/s  waiting for batches \d+%"
        assert len(re.findall(line, said)) == 1, f"epoch {epoch} must be said once:\n{said}"
        assert len(re.findall(rf"epoch {epoch}  validation  recall@20 0\.\d+  ndcg@20 0\.\d+", said)) == 1
    assert lines[-1] == f"run folder: {run}"
    assert re.fullmatch(r"test recall@20: popularity 0\.\d{4}, dualgnn 0\.\d{4}", lines[-2])
    assert re.search(r"dualgnn: test metrics of \d+ users, epoch \d", said)


def check_run_folder(run: Path, config: Path, store: Path) -> None:
    written, metrics = load(run / "config.yaml"), metrics_of(run)
    assert written == load(config).with_absolute_paths()
    assert (run / "config.yaml").read_text() == written.to_yaml()

    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in history if "training" in line] == [1, 2, 3]
    assert [line["epoch"] for line in history if "validation" in line] == [1, 2, 3]
    validations = {line["epoch"]: line["validation"] for line in history if "validation" in line}

    keys = {*metric_keys(KS), "num_users"}
    assert metrics["validation"].keys() == metrics["test"].keys() == keys
    assert metrics["validation"] == validations[metrics["best_epoch"]]
    assert metrics["best_epoch"] == max(validations, key=lambda epoch: validations[epoch]["recall@20"])
    assert metrics["epochs"] == 3 and metrics["num_workers"] == 2 and len(metrics["peak_memory_bytes"]) == 2
    opened = Store.open(store)
    assert metrics["store"] == {"path": str(store), "fingerprint": opened.manifest.fingerprint}
    held_out = len(np.unique(opened.interactions("test").users.to_numpy()))
    assert metrics["test"]["num_users"] == held_out
    assert metrics["metric"] == "recall@20" and list(metrics["baselines"]) == ["popularity"]
    alone = World()
    by_count = evaluate_lists(by_popularity(opened, alone), opened, written.evaluation.protocol("test"), alone)
    popular = metrics["baselines"]["popularity"]
    assert_same_numbers({key: popular[key] for key in by_count}, by_count, 1e-12)
    assert metrics["beyond"].keys() == popular.keys() - by_count.keys() == {f"{name}@{k}" for name in NAMES for k in KS}
    assert metrics["beyond"]["popularity@20"] < popular["popularity@20"], "no list is of more popular items"
    assert {"training", "waiting", "inference", "ranking", "total"} == metrics["seconds"].keys()
    assert {"dualgnn_dist", "python", "torch", "ray"} <= metrics["versions"].keys()

    files = sorted(path.name for path in (run / "representations").iterdir())
    assert files == ["items.arrow", "users-00000-of-00002.arrow", "users-00001-of-00002.arrow"]
    parts = [representations.read(run / "representations" / name) for name in files[1:]]
    rows, ids = np.concatenate([part[0] for part in parts]), [x for part in parts for x in part[1].to_pylist()]
    assert sorted(rows.tolist()) == list(range(opened.manifest.num_users)), "every user once"
    assert ids == opened.ids("users", rows).to_pylist()
    assert all(np.isfinite(part[2]).all() for part in parts)
    assert len(list((run / "tensorboard").glob("events.out.tfevents.*"))) == 1
    assert [path.name for path in (run / "checkpoints").iterdir() if path.name.endswith(".partial")] == []


def check_evaluate(run: Path, call: Callable[..., Any]) -> None:
    """On another number of workers `evaluate` finds the numbers that training wrote."""
    config = load(run / "config.yaml", ["resources.num_workers=0"])
    for split, name in (("test", "test"), ("valid", "validation")):
        said = call(evaluate.main, "--run", run, "--split", split, "resources.num_workers=0")
        assert said.code == 0, said
        found = evaluate_best(config, Host(), split)["all"]
        assert_same_numbers(found, metrics_of(run)[name], 1e-6)
        table = re.findall(r"│ +20 │ +([\d.]+) │ +([\d.]+) │", said.output)
        assert table == [(f"{found['precision@20']:.4f}", f"{found['recall@20']:.4f}")]


def test_a_run_survives_the_death_of_a_worker(
    write_config: Callable[..., Path], start: Callable[..., Any], trained: Callable[..., Path], tmp_path: Path
) -> None:
    """Ray starts the workers again from the last checkpoint; the run ends as if nothing had happened."""
    long = {"train.epochs": 8, "sampler.batch_size": 128}
    run = tmp_path / "runs" / "killed"
    config = write_config({**long, "resources.num_workers": 2, "run.name": "killed"})
    program = start("dualgnn_dist.train", ["--config", config], tmp_path)
    program.wait_for((run / "checkpoints" / "epoch-00002" / "checkpoint.json").exists, "the second checkpoint")
    line = program.wait_for(
        lambda: next((line for line in program.lines if "RayTrainWorker pid=" in line), None), "a worker's line"
    )
    program.kill(int(re.search(r"RayTrainWorker pid=(\d+)", line)[1]))
    assert not (run / "metrics.json").exists(), "killed too late: the test shows nothing"
    assert program.wait() == 0, program.output
    assert not program.leftovers()
    assert re.search(r"resumed from .*epoch-0000\d after epoch \d", "\n".join(program.lines)), program.output
    assert program.complaints == [] and not any("(raylet)" in line for line in program.lines), "more than a sentence"
    (said,) = [line for line in program.lines if "failures left" in line]
    assert re.match(
        r"worker 0 \(process \d+ of .*\) died .* goes on from .*epoch-0000\d \(1 of 2 failures left\)", said
    )
    assert (run / "failures" / "0001.txt").read_text().startswith(said.partition("; the whole story")[0])

    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in history if "training" in line] == list(range(1, 9)), "each epoch once"
    undisturbed = trained({**long, "run.name": "undisturbed"})
    assert_same_numbers(metrics_of(run)["test"], metrics_of(undisturbed)["test"], 1e-3)


def test_a_killed_process_is_resumed_bit_for_bit(
    write_config: Callable[..., Path],
    start: Callable[..., Any],
    call: Callable[..., Any],
    trained: Callable[..., Path],
    tmp_path: Path,
) -> None:
    settings = {"train.epochs": 8, "train.eval_every": 2, "sampler.batch_size": 128, "checkpoint.every_steps": 7}
    run = tmp_path / "runs" / "killed"
    config = write_config({**settings, "run.name": "killed"})
    program = start("dualgnn_dist.train", ["--config", config, "--resume-or-start"], tmp_path)
    within = r"epoch-0000[2-6]-step-*"
    program.wait_for(lambda: list((run / "checkpoints").glob(f"{within}/checkpoint.json")), "a checkpoint in an epoch")
    program.process.kill()
    program.wait()
    assert not (run / "metrics.json").exists(), "killed too late: the test shows nothing"
    said = call(train.main, "--config", config, "--resume-or-start")
    assert said.code == 0 and "resumed from" in said.output, said
    ours, theirs = metrics_of(run), metrics_of(trained({**settings, "run.name": "undisturbed"}))
    for key in ("test", "validation", "best_epoch", "epochs"):
        assert ours[key] == theirs[key]


def test_divergence_under_ray_is_one_message(
    write_config: Callable[..., Path], start: Callable[..., Any], tmp_path: Path
) -> None:
    """Ray would try again what can only end the same, and show tracebacks."""
    config = write_config({"optimizer.learning_rate": 1e30, "resources.num_workers": 2})
    program = start("dualgnn_dist.train", ["--config", config], tmp_path)
    assert program.wait() == 2, program.output
    assert not program.leftovers()
    (complaint,) = program.complaints
    assert complaint.startswith("error: training has diverged: step "), program.output
    (kept,) = (tmp_path / "runs" / "tiny").glob("diverged-*.json")
    assert str(kept) in complaint and len(json.loads(kept.read_text())["workers"]) == 2
