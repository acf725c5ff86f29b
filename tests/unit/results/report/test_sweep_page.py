"""The page of a sweep, running or ended, from files made here."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.results.finished_sweep import SweepRecord
from dualgnn_dist.results.report.sweep_page import pareto, sweep_page
from dualgnn_dist.training.sweep.folder import Trial
from tests.unit.results.report.elements import is_harmless

HOSTILE = """</title></style></script><script>alert("1")</script><img src=x onerror='alert(2)'>&"""


def trial(number: int, value: float | None = 0.1, state: Any = "complete", **changes: Any) -> dict[str, Any]:
    params = {"optimizer.learning_rate": 10.0 ** -(number % 4 + 1), "model.fusion": ["max", "mean"][number % 2]}
    values = {"number": number, "params": params, "state": state, "value": value, "epochs": 3, "seconds": 5.0 + number}
    return {**values, "error": None, "seed_values": [] if value is None else [value], **changes}


def test_the_page_of_a_running_sweep(make_sweep: Callable[..., Path]) -> None:
    failed = trial(3, None, "failed", error=HOSTILE)
    folder = make_sweep([trial(0, 0.1), trial(1, 0.4), trial(2, 0.9, "stopped"), failed])
    with (folder / "trials.jsonl").open("a") as file:
        file.write('{"number": 4, ')
    text = sweep_page(SweepRecord.read(folder))
    assert is_harmless(text) and "&lt;script&gt;alert" in text
    for said in (
        "Unfinished",
        "4 of 9",
        "best ndcg@10",
        "0.4000",
        "Failures",
        "1 line of the trials",
        "best so far",
        "Pareto front",
    ):
        assert said in text, said
    assert ">0.01</text>" in text, "three decades of learning rates stand on a logarithmic axis"
    best = re.search(r'<tr class="best">(.*?)</tr>', text)
    assert best and "0.4000" in best[1], "a stopped trial does not win where one ran to its end"


def test_the_page_of_a_sweep_that_ended(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep([trial(0)])
    (folder / "best.yaml").write_text("model: {name: dualgnn}  # <best>\n")
    metrics = {"ndcg@10": 0.25, "num_users": 3.0}
    winner = {"number": 0, "params": {}, "validation": metrics, "test": metrics, "run_folder": "trials/gone"}
    (folder / "winner.json").write_text(json.dumps(winner))
    (folder / "importance.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "parallel.png").write_bytes(b"<script>")
    text = sweep_page(SweepRecord.read(folder))
    assert is_harmless(text) and "Unfinished" not in text and "&lt;best&gt;" in text
    assert "0.2500" in text and "Without confidence intervals" in text and text.count("<img") == 1
    (folder / "winner.json").write_text('{"number": 0}')
    with pytest.raises(UserError, match=r"winner\.json is damaged"):
        SweepRecord.read(folder)


def test_a_sweep_without_trials_has_a_page(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep([])
    assert "No trial has ended yet" in sweep_page(SweepRecord.read(folder))
    (folder / "trials.jsonl").unlink()
    assert "No trial has ended yet" in sweep_page(SweepRecord.read(folder))
    (folder / "trials.jsonl").write_text("x\ny\n")
    with pytest.raises(UserError, match="none of its 2 lines"):
        SweepRecord.read(folder)


@pytest.mark.parametrize("state", ["stopped", "failed"])
def test_a_sweep_in_which_nothing_ran_to_its_end_has_a_page(make_sweep: Callable[..., Path], state: str) -> None:
    value = 0.2 if state == "stopped" else None
    assert is_harmless(sweep_page(SweepRecord.read(make_sweep([trial(0, value, state), trial(1, None, "failed")]))))


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=9))
def test_the_pareto_front_holds_what_nothing_beats(pairs: list[tuple[int, int]]) -> None:
    trials = [Trial(n, {}, "complete", float(v), 1, float(s), None, ()) for n, (v, s) in enumerate(pairs)]
    beaten = {(v, s) for v, s in pairs for w, t in pairs if w >= v and t <= s and (w, t) != (v, s)}
    assert {(one.value, one.seconds) for one in pareto(trials)} == set(pairs) - beaten


def test_a_click_on_a_heading_is_all_that_runs(make_sweep: Callable[..., Path]) -> None:
    text = sweep_page(SweepRecord.read(make_sweep([trial(0)])))
    script = text.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text and "default-src 'none'" in text
