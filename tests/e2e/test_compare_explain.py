"""Finished runs compared and explained: what the screen says, what lies in the folder, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dualgnn_dist import __main__, compare, explain
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation import representations

PNG = b"\x89PNG\r\n\x1a\n"
NAMES = ("dualgnn_1", "dualgnn_2", "lightgcn")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("finished")


@pytest.fixture
def finished(kept: Path, trained: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of two seeds of DualGNN and one of LightGCN, a copy for each test; they are trained once."""
    monkeypatch.setenv("COLUMNS", "160")
    runs = tmp_path / "runs"
    if not (kept / "runs").exists():
        trained({"run.name": "dualgnn_1", "run.seed": 1})
        trained({"run.name": "dualgnn_2", "run.seed": 2})
        trained({"run.name": "lightgcn", "model": {"name": "lightgcn", "width": 8}, "sampler.co_users": None})
        shutil.copytree(runs, kept / "runs")
    shutil.rmtree(runs, ignore_errors=True)
    return Path(shutil.copytree(kept / "runs", runs))


def metrics_of(run: Path) -> dict[str, float]:
    return json.loads((run / "metrics.json").read_text())["test"]


def test_runs_are_compared(finished: Path, call: Callable[..., Any]) -> None:
    runs = [finished / name for name in NAMES]
    said = call(compare.main, "--runs", *runs, "--baseline", "lightgcn")
    assert said.code == 0, said
    folder = finished / "comparison"
    assert sorted(path.name for path in folder.iterdir()) == [f"comparison.{end}" for end in ("json", "md", "png")]
    assert (folder / "comparison.png").read_bytes().startswith(PNG)
    written = json.loads((folder / "comparison.json").read_text())
    rows = {row["label"]: row for row in written["rows"]}
    assert {label: row["seeds"] for label, row in rows.items()} == {"dualgnn": [1, 2], "lightgcn": [1]}
    for metric in ("recall@20", "ndcg@20"):
        found = rows["dualgnn"]["metrics"][metric]
        expected = [metrics_of(run)[metric] for run in runs]
        assert found["seeds"] == pytest.approx(expected[:2])
        assert found["mean"] == pytest.approx(np.mean(expected[:2]))
        assert found["deviation"] == pytest.approx(np.std(expected[:2], ddof=1))
        assert found["against"]["difference"] == pytest.approx(np.mean(expected[:2]) - expected[2])
        assert found["against"]["low"] < found["against"]["difference"] < found["against"]["high"]
        assert rows["lightgcn"]["metrics"][metric]["against"] is None
    text = (folder / "comparison.md").read_text()
    for place in (text, said.output):
        mean = f"{rows['dualgnn']['metrics']['ndcg@20']['mean']:.4f}"[1:]
        assert mean in place and "baseline" in place
        words = " ".join(place.split())
        assert "p is Holm-corrected over 1 comparison (the rows)" in words
        assert "Users are the unit of the tests, so seed-to-seed variance is not in them" in words
        assert "1 of 2 rows have one seed" in words
        assert "flatters" not in words, "the baseline was named"
    assert str(folder) in said.output


def test_the_best_row_is_the_baseline_where_none_is_named(finished: Path, call: Callable[..., Any]) -> None:
    runs = [finished / name for name in NAMES]
    split = "--split", "valid"
    said = call(compare.main, "--runs", *runs, "--metrics", "ndcg@5", *split, "--output", finished.parent / "out")
    assert said.code == 0, said
    written = json.loads((finished.parent / "out" / "comparison.json").read_text())
    first, second = (row["metrics"]["ndcg@5"] for row in written["rows"])
    assert first["mean"] >= second["mean"] and first["against"] is None and second["against"] is not None
    assert written["split"] == "valid" and written["baseline_chosen_by_result"]
    assert "chosen for being the best here by ndcg@5, which flatters it" in " ".join(said.output.split())
    assert not (finished / "comparison").exists()


def test_input_of_compare_that_is_wrong(finished: Path, refused: Callable[..., str]) -> None:
    first, second, other = (finished / name for name in NAMES)

    def message(*arguments: Any) -> str:
        said = refused(compare.main, "--runs", *arguments)
        assert not (finished / "comparison").exists()
        return said

    assert "has no test metric 'recal@20'; did you mean 'recall@20'?" in message(first, "--metrics", "recal@20")
    assert "--baseline 'lightgnc' is no row of the comparison; did you mean 'lightgcn'?" in message(
        first, other, "--baseline", "lightgnc"
    )
    assert "are the same run twice" in message(first, second, first)
    assert "there is no such folder" in message(first, finished / "nowhere")
    assert f"{first} is the folder of a run; choose another folder with --output" in message(second, "--output", first)
    file = finished / "file"
    file.write_text("")
    assert "cannot be written" in message(second, "--output", file / "below")
    (other / "metrics.json").write_text('{"test": ')
    assert "metrics.json is damaged" in message(first, other)
    (other / "metrics.json").unlink()
    assert "lightgcn is no finished run: it has no metrics.json" in message(first, other)
    shutil.rmtree(second / "representations")
    assert "dualgnn_2 has no folder representations" in message(first, second)
    config = (first / "config.yaml").read_text()
    (first / "config.yaml").write_text(re.sub("store: .*", "store: /nowhere", config, count=1))
    assert "/nowhere is not a store" in message(first)


def test_modality_weights_by_community(finished: Path, call: Callable[..., Any]) -> None:
    run = finished / "dualgnn_1"
    said = call(explain.main, "--run", run, "--communities", "3")
    assert said.code == 0, said
    folder = run / "explanation"
    assert (folder / "modality_weights.png").read_bytes().startswith(PNG)
    text = (folder / "modality_weights.md").read_text()
    columns = representations.read(run / "representations" / "users-00000-of-00001.arrow").columns
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    assert rows[0] == ["community", "users", "visual", "acoustic", "textual"]
    assert [row[0] for row in rows[1:]] == ["1", "2", "3", "all"]
    sizes = [int(row[1]) for row in rows[1:]]
    assert sizes[:3] == sorted(sizes[:3], reverse=True) and sum(sizes[:3]) == sizes[3] == 400
    for name, cell in zip(("visual", "acoustic", "textual"), rows[4][2:], strict=True):
        values = columns[f"weight_{name}"]
        most = np.mean([max(columns, key=lambda other, u=u: columns[other][u]) == f"weight_{name}" for u in range(400)])
        assert cell == f"{values.mean():.3f} ± {values.std():.3f} ({most:.0%})"
        assert cell in said.output
    assert "so much lies between communities: visual" in " ".join(said.output.split())
    assert str(folder) in said.output


def test_one_user(finished: Path, call: Callable[..., Any], tiny_store: Path) -> None:
    store = Store.open(tiny_store)
    user = int(np.argmax([len(store.user_cooccurrence.row(user)) for user in range(400)]))
    raw_id = str(store.ids("users")[user])
    said = call(explain.main, "--run", finished / "dualgnn_1", "--user", raw_id)
    assert said.code == 0, said
    assert f"{len(store.user_item.row(user))} training items" in said.output
    columns = representations.read(finished / "dualgnn_1" / "representations" / "users-00000-of-00001.arrow").columns
    assert f"{columns['weight_acoustic'][user]:.4f}" in said.output
    neighbors, counts = store.user_cooccurrence.row(user)[:40], store.user_cooccurrence.row_counts(user)[:40]
    weights = np.exp(counts - counts[0].astype(float))
    weights /= weights.sum()
    shown = [[cell.strip() for cell in line.split("│")[1:-1]] for line in said.output.splitlines() if "│" in line]
    co_users = shown[-len(neighbors) :]
    assert [row[0] for row in co_users] == [str(name) for name in store.ids("users", neighbors).to_pylist()]
    assert [int(row[1]) for row in co_users] == counts.tolist()
    assert [float(row[2]) for row in co_users] == pytest.approx(weights, abs=1e-6)
    held = ", ".join(f"first {first} {weights[:first].sum():.1%}" for first in (1, 5, 10))
    assert f"of all weight: {held}" in said.output
    assert not (finished / "dualgnn_1" / "explanation").exists()


def test_a_model_without_weights_and_co_users(
    finished: Path, call: Callable[..., Any], refused: Callable[..., str]
) -> None:
    run = finished / "lightgcn"
    said = refused(explain.main, "--run", run)
    assert "lightgcn has no weights of modalities a user; DualGNN has them with model.fusion=weighted_sum" in said
    assert not (run / "explanation").exists()
    shown = " ".join(call(explain.main, "--run", run, "--user", "3").output.split())
    assert "training items modality weights: none." in shown
    assert "co-users: none. lightgcn as configured here does not read the co-occurrence graph" in shown


def test_input_of_explain_that_is_wrong(finished: Path, refused: Callable[..., str]) -> None:
    run = finished / "dualgnn_2"
    assert "has no user '400'; did you mean '399'?" in refused(explain.main, "--run", run, "--user", "400")
    assert "has no user 'x39'; did you mean '39" in refused(explain.main, "--run", run, "--user", "x39")
    for wrong in ("0", "401"):
        said = refused(explain.main, "--run", run, "--communities", wrong)
        assert f"--communities {wrong} must lie between 1 and the number of users, 400" in said
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("fusion: weighted_sum", "fusion: mean"))
    path = run / "representations" / "users-00000-of-00001.arrow"
    metrics = json.loads((run / "metrics.json").read_text())
    metrics.pop("representations")  # nor were their checksums then
    (run / "metrics.json").write_text(json.dumps(metrics))
    rows, ids, vectors, _ = representations.read(path)
    representations.write(path, np.array(rows), ids, np.array(vectors))
    said = refused(explain.main, "--run", run)
    assert "dualgnn_2: dualgnn with model.fusion=mean has no weights of modalities a user" in said
    (run / "config.yaml").write_text(config)
    assert "was finished before modality weights were written" in refused(explain.main, "--run", run)
    (run / "metrics.json").unlink()
    assert "is no finished run" in refused(explain.main, "--run", run)


@pytest.mark.parametrize("verb", ["", "compare", "explain"])
def test_help_fits_a_screen(verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    try:
        __main__.main([*([verb] if verb else []), "--help"])
    except SystemExit as stop:
        assert not stop.code
    shown = capsys.readouterr().out
    assert sum(-(-len(line) // 80) or 1 for line in shown.splitlines()) <= 24, shown
    said = [f"dualgnn_dist.{verb} "] if verb else ["  compare ", "  explain "]
    assert all(words in shown for words in ["example:\n", *said]), shown
