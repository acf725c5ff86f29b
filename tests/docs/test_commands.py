"""Every command that a page shows is one that its verb takes, down to the last key of the config."""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import dualgnn_dist
from dualgnn_dist import UserError, load_config
from dualgnn_dist.training.load import load_prepare
from dualgnn_dist.training.sweep.load import load_sweep
from tests.docs.pages import PAGES, ROOT, VERBS, Command, commands, commands_of, fences

COMMANDS = commands()
PUBLIC = [
    "Store",
    "prepare_store",
    "prepare_table",
    "load_config",
    "start_run",
    "FinishedRun",
    "OpenedRun",
    "Recommender",
    "MODELS",
    "FORMATS",
]
DEMO = ROOT / "configs/quickstart.yaml"


def parsed(command: Command) -> argparse.Namespace:
    assert command.verb in VERBS, str(command)
    return importlib.import_module(f"dualgnn_dist.{command.verb}").parser().parse_intermixed_args(list(command.words))


def check(command: Command, folder: Path) -> None:
    """Raises what the verb would raise, but for what is wrong with data: it asks for no file of data."""
    options = parsed(command)
    overrides = getattr(options, "overrides", [])
    config = getattr(options, "config", None)
    path = DEMO if config is None else ROOT / config
    if config is not None and not config.startswith("configs/"):
        path = own_config(config, folder)
    if getattr(options, "inspect", None) is not None:
        assert not overrides and config is None
    elif command.verb == "prepare":
        load_prepare(None if config is None else path, overrides)
    elif command.verb == "tune":
        load_sweep(path, overrides)
    else:
        load_config(path, overrides)


def own_config(name: str, folder: Path) -> Path:
    """The config of a page that begins with `# <name>`, in a file."""
    texts = [block for page in PAGES for block in fences(page.read_text(), "yaml") if block.startswith(f"# {name}\n")]
    assert texts, f"no page shows {name}"
    path = folder / name
    path.write_text(texts[0])
    return path


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_page_shows_what_the_verb_takes(command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        check(command, tmp_path)
    except SystemExit:  # argparse has no other way to say it
        pytest.fail(f"{command}\n{capsys.readouterr().err}")


def test_all_verbs_are_shown_and_nothing_is_overlooked() -> None:
    assert {command.verb for command in COMMANDS} == set(VERBS)
    pages = {command.page for command in COMMANDS}
    assert {"README.md", "cluster/README.md", "docs/commands.md", "docs/clusters.md"} <= pages
    behind_ray = [command for command in COMMANDS if command.page == "cluster/README.md"]
    assert len(behind_ray) >= 4


@pytest.mark.parametrize(
    "line",
    [
        "python -m dualgnn_dist.train --config configs/quickstart.yaml sampler.fanout=[5]",  # fanouts
        "python -m dualgnn_dist.train --config configs/none.yaml",
        "ray job submit --working-dir . -- python -m dualgnn_dist.train \\\n    --config configs/debug.yaml run.nam=x",
        "python -m dualgnn_dist.evaluate --run runs/x --split validation",
        "python -m dualgnn_dist.tune --config configs/sweep_tiktok.yaml sweep.trial=3",
        "python -m dualgnn_dist.prepare --output stores/x prepare.format=tabel prepare.input=x.csv",
        "python -m dualgnn_dist.prepare --inspect ratings.csv prepare.k_core=5 > mine.yaml",
        "dualgnn-dist explain --users 17",
        "dualgnn-dist trian --config configs/quickstart.yaml",
        "python -m dualgnn_dist.train --config configs/debug.yaml sampler.draws=pyg",
    ],
)
def test_a_slip_in_a_page_is_found(line: str, tmp_path: Path) -> None:
    (command,) = commands_of("page.md", f"text\n\n```\n{line}\n```\n")
    with pytest.raises((UserError, SystemExit, AssertionError)):
        check(command, tmp_path)


def test_yaml_of_the_pages_is_a_config(tmp_path: Path) -> None:
    blocks = [block for page in PAGES for block in fences(page.read_text(), "yaml")]
    assert len(blocks) >= 5
    for block in blocks:
        sections = {"data": {"store": "stores/x"}, "model": {"name": "dualgnn"}, **yaml.safe_load(block)}
        (tmp_path / "page.yaml").write_text(yaml.safe_dump(sections))
        load_config(tmp_path / "page.yaml")


def test_python_of_the_pages_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the smallest data, in this process: the pages differ from that by their config alone."""
    blocks = [block for page in PAGES for block in fences(page.read_text(), "python")]
    assert len(blocks) >= 2
    monkeypatch.chdir(tmp_path)
    for block in blocks:
        if "vectors_faiss" in block:  # tests/unit/results/vectors runs it on vectors of its own
            continue
        assert "configs/quickstart.yaml" in block or "prepare_table" in block
        exec(compile(block.replace("configs/quickstart.yaml", str(ROOT / "configs/debug.yaml")), "page", "exec"), {})


def test_the_names_of_the_front_door_are_the_pages() -> None:
    readme, api = (path.read_text() for path in (ROOT / "README.md", ROOT / "docs/api.md"))
    for name in PUBLIC:
        assert hasattr(dualgnn_dist, name) and name in readme and name in api, name


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="argparse of another Python folds its help otherwise")
def test_the_help_in_the_pages_is_what_the_verbs_say() -> None:
    ended = subprocess.run(
        [sys.executable, "docs/generate", "help", "--check"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "40"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
