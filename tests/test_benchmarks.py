"""The measurements are run by hand; that each still starts, on the package as it is, is looked at here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

PROGRAM = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)  # all that a name of the package could be missing for
"""


def test_every_benchmark_can_be_imported() -> None:
    names = sorted(path.stem for path in BENCHMARKS.glob("*.py"))
    assert len(names) > 15
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *names], cwd=BENCHMARKS, capture_output=True, text=True, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
