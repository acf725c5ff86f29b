"""A store that is there needs nothing but what training needs: polars prepares stores, the others do other things."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dualgnn_dist.data.store.reader import Store

FORBIDDEN = ("polars", "ray", "optuna", "matplotlib")
HOOK = f"""
import sys

class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {FORBIDDEN}:
            raise ImportError(f"{{name}} is forbidden")

sys.meta_path.insert(0, Forbidden())
"""
OPENS = """
import numpy as np
from dualgnn_dist.data.config import DataConfig
from dualgnn_dist.data.make import ensure_store
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.formats import FORMATS
from dualgnn_dist.data.store import reader, writer

settings = reader.Store.open(sys.argv[1]).manifest.settings["prepare"]
settings["split_shares"] = tuple(settings["split_shares"])
store = ensure_store(DataConfig(store=sys.argv[1]), PrepareConfig(**settings))
assert all(hasattr(format.options(), "__dataclass_fields__") for format in FORMATS.values())
items = np.arange(store.manifest.num_items, dtype=np.int32)
assert all(store.features(name).gather(items) for name in store.manifest.modalities)
print(len(store.ids("users")), store.user_item.row(0).tolist())
"""
PREPARES = """
from dualgnn_dist.base.command_line import run_program
from dualgnn_dist.data.make import make_at
from dualgnn_dist.data.prepare.config import PrepareConfig

run_program(lambda: make_at(sys.argv[1], PrepareConfig(format="synthetic", split="random")))
"""


def run(script: str, argument: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", HOOK + script, str(argument)], capture_output=True, text=True)


@pytest.mark.parametrize("library", FORBIDDEN)
def test_the_hook_forbids(library: str, tmp_path: Path) -> None:
    assert f"ImportError: {library} is forbidden" in run(f"import {library}", tmp_path).stderr


def test_a_store_is_opened(demo_store: Store) -> None:
    ended = run(OPENS, demo_store.path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == f"60 {demo_store.user_item.row(0).tolist()}"


def test_preparing_one_says_what_is_missing(tmp_path: Path) -> None:
    ended = run(PREPARES, tmp_path / "store")
    assert ended.returncode == 2
    assert "preparing a store needs polars, which cannot be imported here" in ended.stderr
    assert "pip install polars" in ended.stderr and "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []
