"""What the screen shows of a sweep: the best trials first, what failed and why, the winner's test metrics."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dualgnn_dist.results.sweep_table import show


def trial(number: int, value: float | None, **changes: Any) -> dict[str, Any]:
    state = "failed" if value is None else "complete"
    params = {"optimizer.learning_rate": 0.0123456, "model.fusion": "max"}
    of_all = {"number": number, "params": params, "state": state, "value": value, "epochs": 3, "seconds": 1234.5}
    return {**of_all, "error": None, "seed_values": [], **changes}


def test_the_best_trials_and_the_winner(
    make_sweep: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    trials = [trial(number, 0.01 * number) for number in range(12)]
    trials[3] = trial(3, None, error="it diverged")
    folder = make_sweep([*trials[:4], trial(5, 0.7), trial(4, 0.04)])
    metrics = {"ndcg@10": 0.25, "recall@10": 0.5, "recall@20": 0.75}
    winner = {"number": 5, "params": {}, "validation": metrics, "test": metrics, "run_folder": "trials/gone"}
    (folder / "winner.json").write_text(json.dumps(winner))
    show(folder)
    shown = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if line.startswith("│")]
    assert [row[0] for row in rows] == ["5", "4", "2", "1", "0", "3"]
    assert rows[0][1:] == ["0.7000", "3", "1,234", "complete", "learning_rate 0.01235  fusion max"]
    assert rows[-1][1] == "" and rows[-1][4] == "failed: it diverged"
    assert "6 trials by validation ndcg@10 " in shown and "the best" not in shown
    assert "test metrics of trial 5, measured once: ndcg@10 0.2500  recall@10 0.5000\n" in shown
    assert f"python -m dualgnn_dist.train --config {folder / 'best.yaml'}" in shown


def test_no_more_than_ten(
    make_sweep: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    show(make_sweep([trial(number, 0.1) for number in range(12)]))
    shown = capsys.readouterr().out
    assert "12 trials by validation ndcg@10, the best 10" in shown
    assert sum(line.startswith("│") for line in shown.splitlines()) == 10
