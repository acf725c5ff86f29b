"""One writer at a time where storage knows no locks. The clocks run a hundred times as fast here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.storage import lease
from dualgnn_dist.base.storage.lease import LEASE, check_holder, holder_of, only_writer_at
from dualgnn_dist.base.storage.remote import RemoteFolder

ELSEWHERE = {"process": 7, "host": "far", "since": 1e9, "place": "another boot", "token": "theirs"}


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteFolder:
    """A folder on a file system of which nothing is known."""
    for name, seconds in (("RENEWED_EVERY", 0.15), ("STALE_AFTER", 0.6), ("SETTLED_AFTER", 0.02)):
        monkeypatch.setattr(lease, name, seconds)
    return RemoteFolder("s3://bucket/run", fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "bucket/run")


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def writing(remote: RemoteFolder, lines: list[str]) -> Callable[[], AbstractContextManager[None]]:
    return lambda: only_writer_at(remote, "the run", lines.append)


def leave(remote: RemoteFolder, holder: Any) -> None:
    remote.write_text(LEASE, holder if isinstance(holder, str) else json.dumps(holder))


def test_the_second_one_is_refused_for_as_long_as_the_first_lives(remote: RemoteFolder, writing: Any) -> None:
    with writing():
        time.sleep(0.8)  # longer than a silent holder would be believed
        with pytest.raises(UserError, match=rf"the run s3://bucket/run is being .* process {os.getpid()} on .* since"):
            writing().__enter__()
        check_holder(remote, holder_of(remote), "the run")
    assert remote.sizes() == {}
    with writing():
        pass


def test_who_is_silent_for_long_enough_is_followed(remote: RemoteFolder, writing: Any, lines: list[str]) -> None:
    leave(remote, ELSEWHERE)
    started = time.monotonic()
    with writing():
        assert time.monotonic() - started > 0.3
        assert holder_of(remote) != ELSEWHERE
    assert "process 7 on far since 2001-09-" in lines[0] and "is silent, so this process takes over" in lines[1]
    leave(remote, ELSEWHERE)
    time.sleep(0.7)
    lines.clear()
    with writing():  # silent already
        assert len(lines) == 1 and "takes over" in lines[0]


@pytest.mark.parametrize("found", ["", "no json", "[]", "null", '{"token": 3, "process": "x"}', "[" * 50_000])
def test_what_is_no_lease_is_watched_all_the_same(
    remote: RemoteFolder, writing: Any, lines: list[str], found: str
) -> None:
    leave(remote, found)
    with writing():
        assert "another process" in lines[0]


def test_a_process_that_died_here_is_followed_at_once(remote: RemoteFolder, writing: Any, lines: list[str]) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    leave(remote, {**ELSEWHERE, "process": ended.pid, "place": lease._place()})
    with writing():
        assert lines == []
    leave(remote, {**ELSEWHERE, "process": os.getppid(), "place": lease._place()})  # this one lives
    with writing():
        assert "takes over" in lines[-1]


def test_of_two_at_the_same_time_the_later_one_stays(
    remote: RemoteFolder, writing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease.time, "sleep", lambda seconds: leave(remote, ELSEWHERE))
    with pytest.raises(UserError, match="is being written by process 7 on far"):
        writing().__enter__()
    assert holder_of(remote) == ELSEWHERE  # whose lease it is not, deletes none


def test_who_was_followed_while_it_slept_writes_no_more(remote: RemoteFolder, writing: Any, lines: list[str]) -> None:
    with writing():
        before = holder_of(remote)
        leave(remote, ELSEWHERE)
        with pytest.raises(UserError, match="was taken over by process 7 on far"):
            check_holder(remote, before, "the run")
        time.sleep(0.4)
        assert holder_of(remote) == ELSEWHERE
    assert holder_of(remote) == ELSEWHERE
    assert sum("was taken over by process 7 on far" in line for line in lines) == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "lease"]


def test_a_storage_that_fails_for_a_while_is_said_once(
    remote: RemoteFolder, writing: Any, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise UserError("the network is gone")

    with writing():
        with monkeypatch.context() as patch:
            patch.setattr(RemoteFolder, "read_text", fail)
            time.sleep(0.5)
        time.sleep(0.2)
    assert len(lines) == 1 and "could not be renewed" in lines[0] and "the network is gone" in lines[0]
    assert remote.sizes() == {}


def test_a_storage_that_gives_back_nothing_is_said(
    writing: Any, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "holder_of", lambda remote: None)
    with writing():
        assert "see to it that nobody else writes" in lines[0]


def test_a_folder_on_a_disk_has_the_disks_lock(tmp_path: Path, lines: list[str]) -> None:
    remote = RemoteFolder.at((tmp_path / "bucket/run").as_uri())
    with only_writer_at(remote, "the run", lines.append):
        with pytest.raises(UserError, match="is being written by process"):
            only_writer_at(remote, "the run", lines.append).__enter__()
        assert not remote.exists(LEASE)
