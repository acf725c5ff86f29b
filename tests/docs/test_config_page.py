"""docs/config.md and the schema are what the dataclasses say, and these say something of every setting."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from dualgnn_dist.base.config import Decides, flat
from dualgnn_dist.models import MODELS
from dualgnn_dist.training.load import load
from dualgnn_dist.training.sweep.space import Kind
from tests.docs.pages import ROOT

PAGE, SCHEMA = ROOT / "docs/config.md", ROOT / "docs/config.schema.json"
COPIED = ["README.md", "docs", "dualgnn_dist"]


def generate(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "docs/generate", "config", *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The generator's module of that name."""
    monkeypatch.syspath_prepend(str(ROOT / "docs/generate"))
    return importlib.import_module("settings")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What page and schema are made from, to be changed."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.png", "__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_generating_again_gives_page_and_schema() -> None:
    ended = generate(ROOT, "--check")
    assert ended.returncode == 0, ended.stderr


def in_page(root: Path) -> None:
    path = root / "docs/config.md"
    path.write_text(path.read_text().replace("| `2048` |", "| `4096` |"))


def in_schema(root: Path) -> None:
    path = root / "docs/config.schema.json"
    path.write_text(path.read_text().replace('"default": 2048', '"default": 4096'))


def in_class(root: Path) -> None:
    path = root / "dualgnn_dist/sampling/config.py"
    path.write_text(path.read_text().replace("batch_size: int = 2048", "batch_size: int = 4096"))


@pytest.mark.parametrize(
    ("change", "files"),
    [
        (in_page, ["docs/config.md"]),
        (in_schema, ["docs/config.schema.json"]),
        (in_class, ["docs/config.md", "docs/config.schema.json"]),
    ],
)
def test_what_is_changed_in_one_place_is_found(change: Callable[[Path], None], files: list[str], copy: Path) -> None:
    change(copy)
    ended = generate(copy, "--check")
    assert ended.returncode == 1 and ended.stderr.startswith(f"{', '.join(files)}: not what"), ended.stderr


def test_every_setting_says_what_it_is(settings: ModuleType) -> None:
    assert settings.undocumented() == []


def test_a_setting_that_says_nothing_is_found(settings: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Base:
        """Settings.

        Args:
            width: of a row,
                in numbers.
        """

        width: int = 1

    @dataclass(frozen=True)
    class Derived(Base):
        """Further ones.

        Args:
            depth: in layers.
        """

        depth: int = 1
        height: int = 1

    monkeypatch.setattr(settings, "classes", lambda: {"model made_up": Derived})
    assert settings.undocumented() == ["model made_up.height"]
    assert settings.descriptions(Derived) == {"width": "of a row, in numbers.", "depth": "in layers."}


@pytest.mark.parametrize("name", list(MODELS))
def test_every_key_of_a_run_stands_in_the_page(name: str) -> None:
    """Those that `config.yaml` in the folder of a run has, which nothing of the generator decides."""
    overrides = [f"model.name={name}", "data.drop_modality={share: 0.5}"]
    values = yaml.safe_load(load(ROOT / "configs/debug.yaml", overrides).to_yaml())
    keys = flat(values)
    assert len(keys) > 60
    text = PAGE.read_text()
    assert [key for key in keys if f"| `{key}` |" not in text] == []


def test_the_page_explains_every_word_of_its_tables() -> None:
    text = PAGE.read_text()
    assert [word for word in typing.get_args(Decides) if f"\n| {word} | " not in text] == []
    assert [kind for kind in typing.get_args(Kind) if f"\n| `{{{kind}: [" not in text] == []
