"""A store's content is read once on a node, and damage found beside the work ends it."""

from __future__ import annotations

import gc
import json
import os
import shutil
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store import checks
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.shards import content_problem
from tests.unit.data.store.small_store import write
from tests.unit.data.store.test_damage import content

VISUAL = "features/visual-00001.arrow"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small store that is treated as the large ones are."""
    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(checks, "SMALL_BYTES", 0)
    monkeypatch.setattr(checks, "LONG_BYTES", 0)
    return write(tmp_path / "store").path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read from now on."""
    files: list[str] = []

    def reading(path: Path, *rest: object) -> str | None:
        files.append(f"{path.parent.name}/{path.name}")
        return content_problem(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(checks, "content_problem", reading)
    return files


def spoil(file: Path, keeps_times: bool = False) -> None:
    status, data = file.stat(), bytearray(file.read_bytes())
    place = data.find(np.array([6, 7], dtype=np.float16).tobytes())
    data[place] ^= 1
    file.write_bytes(data)
    if keeps_times:
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_every_file_is_read_once(folder: Path, read: list[str]) -> None:
    content(folder)
    assert sorted(read) == sorted(shard.file for shard in Store.open(folder).manifest.shards)
    read.clear()
    content(folder)
    assert read == []
    file = folder / "graph/user_item-00001.arrow"
    shutil.copy(file, file.with_suffix(".new"))
    file.with_suffix(".new").replace(file)  # the same bytes in another file
    content(folder)
    assert read == ["graph/user_item-00001.arrow"]
    read.clear()
    Store.open(folder).verify()
    assert len(read) == len(Store.open(folder).manifest.shards)


@pytest.mark.parametrize("keeps_times", [False, True])
def test_a_file_damaged_since_is_read_again(keeps_times: bool, folder: Path) -> None:
    content(folder)
    spoil(folder / VISUAL, keeps_times)
    with pytest.raises(UserError, match=rf"{VISUAL} is damaged \(its checksum differs"):
        content(folder)


def test_stamps_that_are_damaged_or_cannot_be_kept_cost_a_reading(
    folder: Path, read: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content(folder)
    num_files = len(read)
    for text in ("{", "[]", "null", json.dumps({VISUAL: 1})):
        for stamp in (tmp_path / "cache/checked").rglob("*.json"):
            stamp.write_text(text)
        read.clear()
        content(folder)
        assert len(read) == num_files
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "file/cache"))
    read.clear()
    content(folder)
    assert len(read) == num_files and "cannot be remembered" in capsys.readouterr().err


def test_processes_of_a_node_share_the_work(folder: Path, read: list[str]) -> None:
    """Each opens the store for itself, as threads do here; locks of files do not tell them from processes."""
    threads = [threading.Thread(target=content, args=(folder,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(read) == sorted(shard.file for shard in Store.open(folder).manifest.shards)


def test_damaged_vectors_are_told_where_the_work_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_read, rows = threading.Event(), np.arange(7, dtype=np.int32)

    def slowly(*arguments: object) -> str | None:
        may_read.wait(30)
        return content_problem(*arguments)  # type: ignore[arg-type]

    store = Store.open(folder)
    _ = store.user_item
    spoil(folder / VISUAL)
    monkeypatch.setattr(checks, "content_problem", slowly)
    column = store.features("visual")
    assert column.gather(rows).present.any(), "the work does not wait"
    may_read.set()
    deadline = time.monotonic() + 30
    with pytest.raises(UserError, match=rf"{VISUAL} is damaged"):
        while time.monotonic() < deadline:
            column.gather(rows)
    with pytest.raises(UserError, match=rf"{VISUAL} is damaged"):
        store.wait_until_checked()


def test_results_wait(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "content_problem", lambda *arguments: time.sleep(0.1))
    store = Store.open(folder)
    store.features("visual")
    started = time.perf_counter()
    store.wait_until_checked()
    assert time.perf_counter() - started > 0.2


def test_nothing_is_left_of_a_store_that_was_checked(folder: Path) -> None:
    store = Store.open(folder)
    store.features("visual")
    store.wait_until_checked()
    gone = weakref.ref(store._check)
    del store
    gc.collect()
    assert gone() is None, "a process that opens many stores would grow"


def test_nobody_waits_for_threads_at_the_end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def reading(path: Path, shard: object, table: object, each: Callable[[int], None]) -> str | None:
        for _ in range(600):
            each(1)
            time.sleep(0.1)
        return None

    monkeypatch.setattr(checks, "content_problem", reading)
    store = Store.open(folder)
    store.features("visual")
    started = time.perf_counter()
    checks._end(store._check._ended, store._check._readers)
    assert time.perf_counter() - started < 3 and not any(t.name == "store check" for t in threading.enumerate())
