"""What the screen says beside a run's table of metrics."""

from __future__ import annotations

from typing import Any

import pytest

from dualgnn_dist.results.metrics_table import beside_baselines, show

METRICS: dict[str, Any] = {
    "model": "vbpr",
    "best_epoch": 3,
    "metric": "recall@20",
    "test_by_candidates": {
        "warm": {"recall@20": 0.25, "num_users": 9.0},
        "cold": {"recall@20": 0.5, "num_users": 9.0},
    },
    "baselines": {"popularity": {"recall@20": 0.125}},
}


def test_a_run_stands_beside_what_needs_no_training(capsys: pytest.CaptureFixture[str]) -> None:
    assert beside_baselines(METRICS) == ["test recall@20: popularity 0.1250, vbpr 0.2500"]
    show("runs/a", METRICS)
    assert capsys.readouterr().out.splitlines()[-2:] == [*beside_baselines(METRICS), "run folder: runs/a"]


@pytest.mark.parametrize("missing", ["metric", "baselines"])
def test_a_run_of_before_has_no_such_line(missing: str) -> None:
    assert beside_baselines({key: value for key, value in METRICS.items() if key != missing}) == []
    assert beside_baselines({**METRICS, "metric": "recall@7"}) == []
