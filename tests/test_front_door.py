"""What a newcomer meets first: public names, the help of every verb, a misspelt verb. None of it waits for torch."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import dualgnn_dist
from dualgnn_dist.__main__ import VERBS

ROOT = Path(dualgnn_dist.__file__).parents[1]
PUBLIC = [
    "Store",
    "prepare_store",
    "prepare_table",
    "RunConfig",
    "load_config",
    "start_run",
    "FinishedRun",
    "OpenedRun",
    "Recommender",
    "MODELS",
    "FORMATS",
    "UserError",
]
LIBRARIES = ["matplotlib", "numba", "numpy", "optuna", "polars", "pyarrow", "ray", "scipy", "torch"]

# Runs a module as `python -m` does, and writes down how it ended and which libraries had been imported by then.
PROGRAM = """
import json, runpy, sys
report, libraries, module = sys.argv[1], sys.argv[2].split(","), sys.argv[3]
sys.argv = sys.argv[3:]
code = 0
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
except SystemExit as ended:
    code = ended.code or 0
with open(report, "w") as file:
    json.dump([code, [name for name in libraries if name in sys.modules]], file)
"""


def run(
    folder: Path, module: str, arguments: Sequence[str] = (), libraries: Sequence[str] = LIBRARIES
) -> tuple[int, list[str], str, str]:
    """Exit code, the libraries that were imported, and what was said on both streams."""
    report = folder / "report.json"
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(report), ",".join(libraries), module, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    code, imported = json.loads(report.read_text())
    return code, imported, ended.stdout, ended.stderr


def test_the_public_names() -> None:
    assert dualgnn_dist.__all__ == ["__version__", *PUBLIC]
    assert dir(dualgnn_dist) == sorted(dualgnn_dist.__all__)


def test_the_page_names_them() -> None:
    page = (ROOT / "docs/api.md").read_text()
    rows = [re.match(r"\| (.+?) \|", line) for line in page.splitlines() if line.startswith("| `")]
    names = {name for row in rows if row for name in re.findall(r"`(\w+)", row[1])}
    assert names - {"__version__"} == set(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_resolves_to_one_thing(name: str) -> None:
    value = getattr(dualgnn_dist, name)
    assert value is not None and getattr(dualgnn_dist, name) is value
    assert getattr(value, "__module__", "dualgnn_dist").startswith("dualgnn_dist")


def test_type_checkers_see_the_same_names() -> None:
    """Type checkers follow the imports under TYPE_CHECKING: each must be where the table says."""
    source = (ROOT / "dualgnn_dist/__init__.py").read_text()
    shown = re.findall(r"^    from dualgnn_dist\.([\w.]+) import (\w+) as (\w+)", source, re.MULTILINE)
    table = {name: place for name, place in dualgnn_dist._PUBLIC.items()}
    assert {public: (module, attribute) for module, attribute, public in shown} == table
    assert (ROOT / "dualgnn_dist/py.typed").is_file()


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'dualgnn_dist' has no attribute 'load_confg'"):
        _ = dualgnn_dist.load_confg  # type: ignore[attr-defined]


def test_importing_the_package_imports_no_library(tmp_path: Path) -> None:
    _, imported, _, _ = run(tmp_path, "dualgnn_dist.__init__", libraries=[*LIBRARIES, "rich", "yaml"])
    assert imported == []


def test_the_report_of_imports_can_tell(tmp_path: Path) -> None:
    _, imported, _, _ = run(tmp_path, "dualgnn_dist.base.process", libraries=["numpy", "torch", "yaml"])
    assert imported == ["numpy", "torch"]


@pytest.mark.parametrize("verb", list(VERBS))
def test_a_verb_explains_itself_at_once(verb: str, tmp_path: Path) -> None:
    code, imported, said, complaints = run(tmp_path, f"dualgnn_dist.{verb}", ["--help"])
    assert (code, imported, complaints) == (0, [], "")
    assert said.startswith(f"usage: python -m dualgnn_dist.{verb} ") and "example:" in said
    assert run(tmp_path, "dualgnn_dist", [verb, "--help"])[:3] == (0, [], said)


@pytest.mark.parametrize("verb", list(VERBS))
def test_a_wrong_option_is_refused_at_once(verb: str, tmp_path: Path) -> None:
    code, imported, said, complaints = run(tmp_path, f"dualgnn_dist.{verb}", ["--helpp=1", "--cofnig"])
    assert (code, imported, said) == (2, [], "")
    assert complaints.startswith(f"usage: python -m dualgnn_dist.{verb} ")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]], ids=" ".join)
def test_the_program_explains_itself_at_once(arguments: list[str], tmp_path: Path) -> None:
    code, imported, said, complaints = run(tmp_path, "dualgnn_dist", arguments)
    assert (code, imported, complaints) == (0, [], "")
    assert re.findall(r"^  (\w+) +\S", said, re.MULTILINE)[: len(VERBS)] == list(VERBS)


def test_a_misspelt_verb_is_refused_at_once(tmp_path: Path) -> None:
    code, imported, said, complaints = run(tmp_path, "dualgnn_dist", ["trian", "--config", "x.yaml"])
    assert (code, imported, said) == (2, [], "")
    assert complaints == "error: unknown verb 'trian'; did you mean 'train'?\n"


def test_the_version_at_once(tmp_path: Path) -> None:
    code, imported, said, complaints = run(tmp_path, "dualgnn_dist", ["--version"])
    assert (code, imported, said, complaints) == (0, [], f"dualgnn-dist {dualgnn_dist.__version__}\n", "")
