"""A store is whole or not there, and never replaced unasked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.writer import StoreWriter
from tests.unit.data.store.small_store import write


def test_the_fingerprint_is_that_of_the_content(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a"), write(tmp_path / "b")
    assert first.manifest.fingerprint == second.manifest.fingerprint
    assert first.manifest.fingerprint != write(tmp_path / "c", times=False).manifest.fingerprint


def test_an_existing_store_is_replaced_only_on_demand(tmp_path: Path) -> None:
    before = write(tmp_path / "store").manifest
    with pytest.raises(UserError, match="is a store already; choose another folder or set overwrite"):
        write(tmp_path / "store")
    after = write(tmp_path / "store", overwrite=True, times=False).manifest
    assert before.fingerprint != after.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_folder_that_is_no_store_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="exists and is not a store; choose another folder"):
        write(tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine/thesis.txt").read_text() == "years of work"


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), StoreWriter(tmp_path / "store", 10) as writer:
        writer.append("ids/users", {"id": np.arange(5)})
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_leaves_nothing_that_opens(tmp_path: Path) -> None:
    script = (
        "import os, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from dualgnn_dist.data.store import writer\n"
        "w = writer.StoreWriter(Path(sys.argv[1]), 10)\n"
        "w.append('ids/users', {'id': np.arange(5)})\n"
        "w.append('ids/items', {'id': np.arange(5)})\n"
        "os.kill(os.getpid(), 9)\n"
    )
    finished = subprocess.run([sys.executable, "-c", script, str(tmp_path / "store")], check=False)
    assert finished.returncode == -9
    left = list(tmp_path.iterdir())
    assert len(left) == 1 and left[0].name.startswith(".store.unfinished-")
    for folder in [tmp_path / "store", *left]:
        with pytest.raises(UserError, match="not a store or an unfinished one"):
            Store.open(folder)
    assert write(tmp_path / "store").manifest.num_users == 5  # and the next one is not hindered


def test_the_writer_holds_the_shard_sizes(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store", 4) as writer:
        writer.append("ids/users", {"id": np.arange(3)})
        with pytest.raises(AssertionError, match="only the last shard may be short"):
            writer.append("ids/users", {"id": np.arange(3)})
        with pytest.raises(AssertionError, match="5 rows"):
            writer.append("ids/items", {"id": np.arange(5)})
