"""What a training changes is made for its data, or refused before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.training.load import load
from dualgnn_dist.training.state import make_state


def test_a_model_may_read_as_many_co_users_as_the_store_keeps(demo_store: Store, tmp_path: Path) -> None:
    stored = demo_store.manifest.settings["prepare"]["num_co_users"]
    values = {"data": {"store": str(demo_store.path)}, "model": {"name": "dualgnn", "width": 4}, "run": {"name": "r"}}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
    state = make_state(load(tmp_path / "run.yaml", [f"model.max_co_users={stored}"]), demo_store, World())
    assert state.model.co_users is not None and state.model.co_users.max_neighbors == stored
    config = load(tmp_path / "run.yaml", [f"model.max_co_users={stored + 1}"])
    with pytest.raises(UserError, match=rf"max_co_users={stored + 1} asks for more co-users .* keeps \({stored}\)"):
        make_state(config, demo_store, World())
