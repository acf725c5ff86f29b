"""Ids and names that are markup, escape sequences or formulas reach screens, pages and pictures as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dualgnn_dist import compare, explain, report, train

IDS = ["[/red]", "\x1b[31mred", "<script>alert(1)</script>", "a|b", "$\\frac{$", "\u202eevil", ":smile:", "two\rlines"]


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run whose users, items and name are hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    pairs = [(user, item) for user in range(40) for item in range(12) if (user + item) % 3]
    rows = [f'"{IDS[user % 8]}{user}","{IDS[item % 8]}{item}"' for user, item in pairs]
    (folder / "log.csv").write_bytes("\n".join(["user,item", *rows, ""]).encode())
    config: dict[str, Any] = {
        "prepare": {"format": "table", "input": str(folder / "log.csv"), "split": "random", "k_core": 0},
        "data": {"store": str(folder / "store")},
        "model": {"name": "lightgcn", "width": 4},
        "sampler": {"batch_size": 64, "fanouts": [2]},
        "train": {"epochs": 1, "eval_every": 1},
        "resources": {"num_workers": 0},
        "run": {"name": "[red]$x^{$ <b>", "output": str(folder / "runs")},
    }
    config["prepare"]["options"] = {"user_column": "user", "item_column": "item", "id_type": "text"}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    train.main(["--config", str(folder / "config.yaml")])
    return folder / "runs" / config["run"]["name"]


def is_text(shown: str) -> bool:
    """Whether nothing in it steers a terminal."""
    return all(letter.isprintable() or letter in "\n\t" for letter in shown)


@pytest.mark.parametrize("user", [0, 1, 2, 5, 7])
def test_a_user_is_explained(hostile_run: Path, user: int, capsys: pytest.CaptureFixture[str]) -> None:
    explain.main(["--run", str(hostile_run), "--user", f"{IDS[user]}{user}"])
    shown = capsys.readouterr().out
    assert is_text(shown) and f"{IDS[user]}{user}".encode("unicode_escape").decode().replace("\\\\", "\\") in shown


def test_runs_are_compared_and_reported(hostile_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare.main(["--runs", str(hostile_run), "--output", str(tmp_path / "comparison")])
    report.main(["--run", str(hostile_run), "--output", str(tmp_path / "report.html")])
    assert is_text(capsys.readouterr().out)
    page = (tmp_path / "report.html").read_text()
    assert is_text(page) and "<b>" not in page and "&lt;b&gt;" in page
    assert "<b>" not in (tmp_path / "comparison" / "comparison.md").read_text()
