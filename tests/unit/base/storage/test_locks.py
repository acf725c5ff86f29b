"""One writer at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path

import filelock
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import nothing
from dualgnn_dist.base.storage.locks import if_free, only_writer

HOLD = """
import sys, time
from pathlib import Path
from dualgnn_dist.base.storage.locks import if_free, only_writer
with only_writer(Path(sys.argv[1]), "the run", print):
    print("held", flush=True)
    time.sleep(60)
"""


def _writing(target: Path) -> AbstractContextManager[None]:
    return only_writer(target, "the run", nothing)


def _held_elsewhere(target: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(target)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    return holder


def test_the_second_one_is_told_who_holds_it_and_since_when(tmp_path: Path) -> None:
    holder = _held_elsewhere(tmp_path / "run")
    try:
        with (
            pytest.raises(UserError, match=rf"the run .*run is being written by process {holder.pid} on .* since 20"),
            _writing(tmp_path / "run"),
        ):
            pass
        with _writing(tmp_path / "another"):
            pass
    finally:
        holder.kill()
        holder.wait()


def test_death_releases_it(tmp_path: Path) -> None:
    holder = _held_elsewhere(tmp_path / "run")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with _writing(tmp_path / "run"):
        assert json.loads((tmp_path / ".run.writer").read_text())["process"] == os.getpid()


def test_the_same_process_is_a_second_one_too(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with _writing(run), pytest.raises(UserError, match=f"process {os.getpid()}"), _writing(run):
        pass
    with _writing(tmp_path / "run"):
        pass


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"process": "x", "since": 1}', '{"process": 1, "since": 1e300, "host": 3}']
)
def test_who_cannot_be_told_is_another_process(tmp_path: Path, text: str) -> None:
    lock = filelock.FileLock(tmp_path / ".run.writer")
    with lock:
        (tmp_path / ".run.writer").write_text(text)
        with pytest.raises(UserError, match="being written by another process"), _writing(tmp_path / "run"):
            pass


def test_where_files_cannot_be_locked_it_says_so_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, **options: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    lines: list[str] = []
    with only_writer(tmp_path / "run", "the run", lines.append):
        pass
    assert len(lines) == 1 and "without locks" in lines[0]


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"), _writing(tmp_path / "file" / "run"):
        pass


def test_nothing_stays_but_what_was_there_and_what_was_made_meanwhile(tmp_path: Path) -> None:
    with _writing(tmp_path / "a/b/run"):
        assert (tmp_path / "a/b/.run.writer").exists()
    assert list(tmp_path.iterdir()) == []
    with _writing(tmp_path / "a/b/run"):
        (tmp_path / "a/mine").mkdir()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["mine"]
    (tmp_path / "empty").mkdir()
    with _writing(tmp_path / "empty/run"):
        pass
    assert (tmp_path / "empty").exists()


def test_one_that_waited_holds_the_lock_that_others_see(tmp_path: Path) -> None:
    """The holder deletes the file when it ends: who waited for it must not hold a file without a name."""
    holder = _held_elsewhere(tmp_path / "run")
    threading.Timer(0.5, holder.kill).start()
    lines: list[str] = []
    with only_writer(tmp_path / "run", "the run", lines.append, patience=30):
        assert f"is still being written by process {holder.pid}" in lines[0]
        with pytest.raises(UserError, match=f"process {os.getpid()}"), _writing(tmp_path / "run"):
            pass
    holder.wait()
    ended, waited = threading.Event(), threading.Event()

    def wait_for_it() -> None:
        with only_writer(tmp_path / "run", "the run", lines.append, patience=30):
            waited.set()
            ended.wait(30)

    with _writing(tmp_path / "run"):
        waiting = threading.Thread(target=wait_for_it)
        waiting.start()
        time.sleep(0.3)
    assert waited.wait(30)
    with pytest.raises(UserError, match=f"process {os.getpid()}"), _writing(tmp_path / "run"):
        pass
    ended.set()
    waiting.join()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_held_if_nobody_has_it(tmp_path: Path) -> None:
    with if_free(tmp_path / "lock") as mine, if_free(tmp_path / "lock") as others:
        assert mine and not others
