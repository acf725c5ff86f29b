"""A disk that fills up while a store is made or copied: a sentence with place and bytes, nothing left behind."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.content.catalogue import match
from dualgnn_dist.data.prepare.content.features import write_features
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.ids import IdTable
from dualgnn_dist.data.prepare.raw_data import FeatureBlock, RawData, RawModality
from dualgnn_dist.data.prepare.scratch import Scratch
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.staging import publish, stage
from dualgnn_dist.data.store.writer import StoreWriter
from tests.unit.data.store.small_store import write

ROOM = 60_000  # bytes of the largest file
FULL = r"cannot be written: .*MB are needed and [\d,.]+ MB are free\); make room there, or choose another folder for"


@pytest.fixture
def little_room() -> Iterator[None]:
    """Files may not become large: for a writer the same as a full disk, and possible everywhere."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_shard(tmp_path: Path, little_room: None) -> None:
    with (
        pytest.raises(UserError, match=rf"new/ids/users-00000\.arrow {FULL}"),
        StoreWriter(tmp_path / "new", 1 << 20) as w,
    ):
        w.append_rows("ids/users", {"id": np.arange(ROOM)})
    assert list(tmp_path.iterdir()) == []


def test_mapped_features(tmp_path: Path, little_room: None) -> None:
    """Once more than a sentence: writing to a mapped file without room is a bus error."""
    vectors = np.ones((100, 300), dtype=np.float32)
    blocks: Callable[[], Iterator[FeatureBlock]] = lambda: iter([FeatureBlock(0, None, vectors)])  # noqa: E731
    modality = RawModality(kind="dense", blocks=blocks, dimension=300, dtype="float32", row_keyed=True, place=str)
    with pytest.raises(UserError, match=FULL), StoreWriter(tmp_path / "new", 1 << 20) as writer:
        raw = RawData(lambda: iter(()), {"visual": modality})
        catalogue = match(raw, IdTable(pl.Series("id", np.arange(100))), keep=False)
        write_features(writer, "visual", modality, catalogue, np.arange(100))
    assert list(tmp_path.iterdir()) == []


def test_scratch(tmp_path: Path, little_room: None) -> None:
    with pytest.raises(UserError, match=FULL):
        Scratch(tmp_path, 100).positions(ROOM)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_up", [True, False])
def test_a_copy_from_or_to_a_url(tmp_path: Path, is_up: bool, request: pytest.FixtureRequest) -> None:
    store, url, cache = tmp_path / "store", (tmp_path / "bucket/store").as_uri(), tmp_path / "cache"
    write(store, 100)
    victim = "ids/users-00000.arrow"
    large = store / victim
    if not is_up:
        publish(Path(shutil.copytree(store, tmp_path / "moved")), url, False, str(tmp_path / "other"))
        large = tmp_path / "bucket/store" / victim
    large.write_bytes(large.read_bytes() + bytes(ROOM))
    request.getfixturevalue("little_room")
    with pytest.raises(
        UserError, match=rf"{victim.replace('.', '[.]')} cannot be written: .* MB are free\); make room"
    ):
        if is_up:
            publish(store, url, False, str(cache))
        else:
            stage(url, str(cache))
    places = [tmp_path / "bucket", cache]
    files = [path for place in places for path in place.rglob("*") if path.is_file() and path.name != "manifest.json"]
    assert not [path for path in files if path.name.startswith("users-") and path != large], "half a file"
    assert store.exists()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB; skipped where this user may mount none."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this user may mount no disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.faults
def test_a_real_disk_that_is_full(tiny_disk: Path) -> None:
    """In a process of its own, which would die of a bus error."""
    options = "num_users: 60, num_items: 900, num_interactions: 5000, visual_dimension: 400, missing_share: 0.0"
    config = tiny_disk.parent / "config.yaml"
    config.write_text(f"prepare: {{format: synthetic, split: random, num_co_users: 5, options: {{{options}}}}}\n")
    command = [
        sys.executable,
        "-m",
        "dualgnn_dist.prepare",
        "--config",
        str(config),
        "--output",
        str(tiny_disk / "new"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 2, done
    assert "its disk is full (1.4 MB are needed and 0." in done.stderr and "Traceback" not in done.stderr
    assert list(tiny_disk.iterdir()) == []
    with pytest.raises(UserError, match="is not a store"):
        Store.open(tiny_disk / "new")
