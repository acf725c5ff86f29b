"""The tables of the pages are what the files of the measurements say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

SOURCES = ["README.md", "docs", "benchmarks/results"]


def generate(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "docs/generate", "tables", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What the tables are made from and stand in, to be changed."""
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.png", "__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_making_the_tables_again_gives_the_pages() -> None:
    ended = generate(ROOT, "--check")
    assert ended.returncode == 0, ended.stderr


def test_a_figure_changed_in_a_page_is_found_and_put_right(copy: Path) -> None:
    page = copy / "docs/results.md"
    text = page.read_text()
    page.write_text(text.replace(".0919 ± .0051", ".0929 ± .0051"))
    assert page.read_text() != text
    assert "docs/results.md" in generate(copy, "--check").stderr
    assert page.read_text() != text, "--check must write nothing"
    assert generate(copy).returncode == 0
    assert page.read_text() == text


def test_a_figure_changed_in_a_measurement_is_found(copy: Path) -> None:
    path = copy / "benchmarks/results/step_10000000.json"
    values = json.loads(path.read_text())
    values["rows"][0]["step s"] = 0.123
    path.write_text(json.dumps(values))
    ended = generate(copy, "--check")
    assert ended.returncode == 1 and "README.md" in ended.stderr and "docs/speed.md" in ended.stderr


def test_a_table_without_a_place_is_found(copy: Path) -> None:
    page = copy / "docs/speed.md"
    page.write_text(page.read_text().replace("<!-- generated: speed-plan -->", ""))
    assert "speed-plan" in generate(copy, "--check").stderr


def test_rivals_that_were_not_run_are_in_no_table() -> None:
    values = json.loads((ROOT / "benchmarks/results/hops.json").read_text())
    elsewhere = [row["sampler"].partition(" (")[0] for row in values["rows"] if "seen elsewhere" in row["sampler"]]
    assert elsewhere
    for page in (ROOT / "README.md", ROOT / "docs/speed.md", ROOT / "docs/results.md"):
        rows = [line for line in page.read_text().splitlines() if line.startswith("|")]
        assert rows
        for name in [*elsewhere, "MMRec", "DiffMM"]:
            assert not [row for row in rows if re.search(rf"\b{re.escape(name)}\b", row)], (page, name)
