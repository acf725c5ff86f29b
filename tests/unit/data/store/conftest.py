"""The small store, in shards of every size."""

from __future__ import annotations

from pathlib import Path

import pytest

from dualgnn_dist.data.store.reader import Store
from tests.unit.data.store.small_store import ROWS, write


@pytest.fixture(params=[ROWS, 1, 100])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return write(tmp_path / "store", request.param)
