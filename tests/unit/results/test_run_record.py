"""What a run has written so far: read whole, or refused with the file's name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.results.run_record import RunRecord


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("metrics.json", "{", "metrics.json is damaged"),
        ("metrics.json", "[]", "metrics.json is damaged"),
        ("metrics.json", "{}", "metrics.json is damaged"),
        ("history.jsonl", "{\n{}\n", "line 1, is damaged"),
        ("history.jsonl", '{"epoch": "1"}\n', "must be a whole number"),
        ("history.jsonl", '{"epoch": 1, "training": {"loss": "x"}}\n', "line 1: training.loss"),
        ("history.jsonl", "3\n", "not a mapping"),
        ("config.yaml", "a: [", "cannot be read as YAML"),
    ],
)
def test_a_damaged_file_is_named(make_demo_run: Callable[..., Path], file: str, content: str, message: str) -> None:
    folder = make_demo_run()
    (folder / file).write_text(content)
    with pytest.raises(UserError, match=re.escape(message)):
        RunRecord.read(folder)


@pytest.mark.parametrize(
    "changes", [{"seconds": None}, {"peak_memory_bytes": "x"}, {"versions": {"a": 1}}, {"epochs": None}]
)
def test_a_damaged_summary_is_named(make_demo_run: Callable[..., Path], changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"metrics\.json is damaged"):
        RunRecord.read(make_demo_run(**changes))
