"""A folder of raw data, and the store that is made of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dualgnn_dist.base.config import from_mapping
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.store.reader import Store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Takes the raw data; the store comes to lie beside it."""
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


@pytest.fixture
def make(folder: Path) -> Callable[..., Store]:
    """`make(lines, **section)`: a store of the folder; `lines` collects what is said."""

    def run(lines: list[str] | None = None, **section: Any) -> Store:
        config = from_mapping(PrepareConfig, {"input": str(folder), "overwrite": True, **section}, "prepare")
        return Store.open(prepare(config, folder.parent / "store", say=[].append if lines is None else lines.append))

    return run
