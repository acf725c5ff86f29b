"""Results are computed from what a run wrote, or refused: its checkpoints ranked again, its vectors shown."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from dualgnn_dist import compare, evaluate, explain, report, train
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store


@pytest.fixture(scope="module")
def trained(demo_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs that differ in their seed."""
    folder = tmp_path_factory.mktemp("trained")
    values = {
        "data": {"store": str(demo_store.path)},
        "model": {"name": "dualgnn", "width": 4},
        "sampler": {"batch_size": 97, "fanouts": [3, 2]},
        "optimizer": {"learning_rate": 0.01},
        "train": {"epochs": 3, "eval_every": 1, "patience": None},
        "resources": {"num_workers": 0},
        "run": {"name": "a", "output": str(folder)},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    for name, seed in (("a", 1), ("b", 2)):
        train.main(["--config", str(folder / "config.yaml"), f"run.name={name}", f"run.seed={seed}"])
    return folder


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    """A copy of them."""
    return Path(shutil.copytree(trained, tmp_path / "runs"))


def names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def test_a_checkpoint_is_chosen_by_its_name_or_its_path(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, metrics = runs / "a", json.loads((runs / "a" / "metrics.json").read_text())
    best = f"epoch-{metrics['best_epoch']:05d}"
    other = next(name for name in names(run) if name != best)
    capsys.readouterr()
    for arguments, epoch in (
        ([], best),
        (["--checkpoint", best], best),
        (["--checkpoint", other], other),
        (["--checkpoint", str(run / "checkpoints" / other)], other),
    ):
        evaluate.main(["--run", str(run), *arguments])
        said = capsys.readouterr()
        assert f"epoch {int(epoch[-5:])}" in said.out
        assert said.err == "", "the metrics are those of training, or not to be compared with them"
    evaluate.main(["--run", str(run), "--checkpoint", str(runs / "b" / "checkpoints" / names(runs / "b")[0])])
    assert "is a checkpoint of another run: its id is " in capsys.readouterr().err
    with pytest.raises(UserError, match=r"a has no checkpoint 'epoch-0000', nor is it a folder; did you mean 'epoch-"):
        evaluate.main(["--run", str(run), "--checkpoint", "epoch-0000"])


@pytest.mark.parametrize("split", ["test", "valid"])
def test_metrics_that_differ_from_those_of_training_are_named(
    runs: Path, capsys: pytest.CaptureFixture[str], split: str
) -> None:
    run = runs / "a"
    path = run / "metrics.json"
    metrics = json.loads(path.read_text())
    values = metrics["validation"] if split == "valid" else metrics["test_by_candidates"]["all"]
    true = values["recall@20"]
    values["recall@20"] += 3e-6
    values["ndcg@20"] += 1e-7  # rounding
    path.write_text(json.dumps(metrics))
    capsys.readouterr()
    evaluate.main(["--run", str(run), "--split", split])
    said = capsys.readouterr().err
    written = f"recall@20 {true:.6f} and not {true + 3e-6:.6f}"
    assert said.strip() == f"the {split} metrics differ from those in metrics.json: {written}"


def test_a_damaged_checkpoint_is_not_ranked(runs: Path) -> None:
    run = runs / "a"
    for path in (run / "checkpoints").glob("*/users-*.pt"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    with pytest.raises(UserError, match="its checksum is another than when it was written; take another checkpoint"):
        evaluate.main(["--run", str(run)])


VERBS: dict[str, Callable[[Path], Any]] = {
    "explain": lambda run: explain.main(["--run", str(run), "--communities", "2"]),
    "explain --user": lambda run: explain.main(["--run", str(run), "--user", "3"]),
    "report": lambda run: report.main(["--run", str(run)]),
    "compare": lambda run: compare.main(["--runs", str(run)]),
}


def forget_whose(run: Path) -> None:
    """As a run of before there were ids."""
    metrics = json.loads((run / "metrics.json").read_text())
    del metrics["run"], metrics["representations"]
    (run / "metrics.json").write_text(json.dumps(metrics))


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("is_old", [False, True], ids=["with checksums", "of an older version"])
def test_vectors_of_another_run_are_refused(runs: Path, verb: str, is_old: bool) -> None:
    for name in ("a", "b") if is_old else ():
        forget_whose(runs / name)
    shutil.rmtree(runs / "a" / "representations")
    shutil.copytree(runs / "b" / "representations", runs / "a" / "representations")
    theirs = "they are not of one run" if is_old else r"holds the vectors of another run \(its id is \w{16}, that of"
    with pytest.raises(UserError, match=theirs):
        VERBS[verb](runs / "a")
    VERBS[verb](runs / "b")
    assert not (runs / "a" / "report.html").exists() and not (runs / "a" / "explanation").exists()


@pytest.mark.parametrize("verb", VERBS)
def test_a_flipped_bit_in_a_vector_is_refused(runs: Path, verb: str) -> None:
    path = runs / "a" / "representations" / "items.arrow"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(f"{path} is damaged: its checksum is another than when the run")):
        VERBS[verb](runs / "a")
