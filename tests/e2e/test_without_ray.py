"""A training in this process needs no Ray: with it and all else that is not needed gone, a run trains and is ranked."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import dualgnn_dist
from dualgnn_dist.data.make import make_at
from dualgnn_dist.training.load import load_prepare

ROOT = Path(dualgnn_dist.__file__).parents[1]
# What only workers of Ray, sweeps, the preparing of stores, tests of significance and pages need.
NOT_NEEDED = ("jinja2", "matplotlib", "optuna", "polars", "ray", "scipy")

# As if the packages were not installed: each finder of modules, and of what is installed, looks past them.
HOOK = f"""
import runpy, sys

class Without:
    def __init__(self, finder):
        self._finder = finder

    def __getattr__(self, name):
        return getattr(self._finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {NOT_NEEDED} else self._finder.find_spec(name, path, target)

    def find_distributions(self, *context):
        theirs = getattr(self._finder, "find_distributions", lambda *context: ())(*context)
        return (one for one in theirs if one.metadata["Name"].lower() not in {NOT_NEEDED})

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
sys.argv = sys.argv[1:]
"""
RUNS = 'runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)'
ASKS = """
import importlib, importlib.metadata, importlib.util

name = sys.argv[0]
assert importlib.util.find_spec(name) is None, "found"
try:
    importlib.metadata.version(name)
except importlib.metadata.PackageNotFoundError:
    importlib.import_module(name)
"""

Verb = Callable[..., subprocess.CompletedProcess[str]]


def run(script: str, arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HOOK + script, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the config `debug`."""
    path = tmp_path_factory.mktemp("stores") / "debug"
    return make_at(str(path), load_prepare("debug")[0])


@pytest.fixture
def verb(store: Path, tmp_path: Path) -> Verb:
    """Runs a verb in a folder of its own; overrides say where store and runs are."""

    def verb(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(RUNS, [f"dualgnn_dist.{name}", *arguments], tmp_path)

    return verb


@pytest.mark.parametrize("name", NOT_NEEDED)
def test_the_hook_hides_a_package(name: str, tmp_path: Path) -> None:
    ended = run(ASKS, [name], tmp_path)
    assert ended.stderr.rstrip().endswith(f"ModuleNotFoundError: No module named '{name}'")


def test_a_run_in_this_process_trains_and_is_ranked_again(verb: Verb, store: Path, tmp_path: Path) -> None:
    places = [f"data.store={store}", f"run.output={tmp_path}/runs", "run.name=here"]
    epoch = ["train.epochs=1", "train.eval_every=1", "resources.num_workers=0"]
    trained = verb("train", "--config", "debug", *places, *epoch)
    assert trained.returncode == 0, trained.stderr
    assert "test metrics of" in trained.stdout and trained.stderr == ""
    folder = tmp_path / "runs/here"
    written = json.loads((folder / "metrics.json").read_text())
    assert written["test"]["recall@20"] > 0

    ranked = verb("evaluate", "--run", str(folder))
    assert ranked.returncode == 0, ranked.stderr
    table = re.compile(r"^│.*│$", re.MULTILINE)
    assert table.findall(ranked.stdout) == table.findall(trained.stdout) != []


def test_workers_are_refused_in_a_sentence_that_names_ray(verb: Verb, store: Path, tmp_path: Path) -> None:
    ended = verb(
        "train", "--config", "debug", f"data.store={store}", f"run.output={tmp_path}/runs", "resources.num_workers=2"
    )
    assert ended.returncode == 2
    (sentence,) = [line for line in ended.stderr.splitlines() if line]
    assert sentence.startswith("error: resources.num_workers=2 needs the package ray, which is not installed here")
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


def test_the_page_names_what_is_needed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[\[<>=]", need)[0] for need in project["dependencies"]}
    (command,) = re.findall(
        r"^pip install -c constraints.txt (torch .+)$", (ROOT / "docs/commands.md").read_text(), re.M
    )
    assert {*declared, "filelock"} - {*NOT_NEEDED} == set(command.split())
