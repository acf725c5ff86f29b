"""Where files lie, locks that end with their holder, and files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import filelock
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.storage import files
from dualgnn_dist.base.storage.files import locked, write_atomically, writing_to, written_whole

HOLD = """
import sys, time
from pathlib import Path
from dualgnn_dist.base.storage.files import locked
with locked(Path(sys.argv[1]), print, "it sleeps"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock `tmp_path / "lock"`."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_where_relative_paths_lead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(files.HOME_VARIABLE, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.chdir(tmp_path)
    assert files.home() == tmp_path and files.notice() is None
    copy = tmp_path / "session_1" / "runtime_resources" / "working_dir_files" / "_ray_pkg_1"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    assert files.home() == tmp_path / "me" / "dualgnn_dist"
    assert str(files.home()) in (files.notice() or "") and files.HOME_VARIABLE in (files.notice() or "")
    monkeypatch.setenv(files.HOME_VARIABLE, str(tmp_path / "shared"))
    assert files.home() == tmp_path / "shared" and files.notice() is None


def test_where_the_cache_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(files.CACHE_VARIABLE, raising=False)
    assert files.cache_root() == tmp_path / ".cache/dualgnn_dist"
    monkeypatch.setenv(files.CACHE_VARIABLE, "~/disk")
    assert files.cache_root() == tmp_path / "disk"
    assert files.working_folder("s3://a", "run").parent != files.working_folder("s3://b", "run").parent


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(files.CACHE_VARIABLE, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what it does where there is no entry and no HOME
    with pytest.raises(UserError, match=r"no home folder for ~/.*; choose a folder with DUALGNN_CACHE=FOLDER"):
        files.cache_root()


def test_a_lock_is_free_for_the_next(tmp_path: Path) -> None:
    lines: list[str] = []
    for _ in range(2):
        with locked(tmp_path / "new" / "lock", lines.append, "nothing"):
            pass
    with pytest.raises(KeyError), locked(tmp_path / "new" / "lock", lines.append, "nothing"):
        raise KeyError
    with locked(tmp_path / "new" / "lock", lines.append, "nothing"):
        assert lines == []


def test_a_lock_ends_with_the_process_that_holds_it(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    lines: list[str] = []

    def hear(line: str) -> None:
        lines.append(line)
        holder.send_signal(signal.SIGKILL)

    with locked(tmp_path / "lock", hear, "it sleeps"):
        assert lines == ["waiting for another process of this node: it sleeps"]
        assert holder.wait() == -signal.SIGKILL


def test_who_waits_does_not_go_on_before_the_holder_ends(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    told, entered = threading.Event(), threading.Event()

    def wait() -> None:
        with locked(tmp_path / "lock", lambda line: told.set(), "it sleeps"):
            entered.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert told.wait(30) and not entered.wait(0.3)
    holder.kill()
    assert entered.wait(30)
    thread.join()


def test_a_place_that_cannot_hold_a_lock_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match=r"file cannot be written \(.*\); choose another with DUALGNN_CACHE=FOLDER"),
        locked(tmp_path / "file" / "lock", print, "nothing"),
    ):
        pass

    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    with (
        pytest.raises(UserError, match=r"cannot lock files \(Function not implemented\); choose another"),
        locked(tmp_path / "lock", print, "nothing"),
    ):
        pass


def test_whoever_cannot_be_told_to_wait_is_not_a_place_that_cannot_be_written(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    def fail(line: str) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError), locked(tmp_path / "lock", fail, "it sleeps"):
        pass


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    for text in ("first", "second"):
        before = path.read_text() if path.exists() else None
        with written_whole(path) as temporary:
            temporary.write_text(text[:2])
            assert (path.read_text() if path.exists() else None) == before
            assert temporary.parent == tmp_path and temporary.name.startswith(".")
            temporary.write_text(text)
        assert path.read_text() == text and os.listdir(tmp_path) == ["result.json"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    with pytest.raises(error), written_whole(path) as temporary:
        temporary.write_text("ne")
        raise error
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["result.json"]


def test_two_threads_that_write_the_same_file_do_not_meet(tmp_path: Path) -> None:
    path, both = tmp_path / "result.json", threading.Barrier(2)
    names: list[Path] = []

    def write(text: str) -> None:
        with written_whole(path) as temporary:
            names.append(temporary)
            temporary.write_text(text)
            both.wait(30)
            assert temporary.read_text() == text

    threads = [threading.Thread(target=write, args=(text,)) for text in ("a" * 9, "b" * 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(names)) == 2 and path.read_text() in ("a" * 9, "b" * 9) and os.listdir(tmp_path) == ["result.json"]


def test_a_text_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")  # a lone surrogate cannot be written
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["metrics.json"]
    write_atomically(path, "new")
    assert path.read_text() == "new"


def test_a_folder_that_the_user_named_and_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match=r"file cannot be written \(.*\); choose another folder with --output"),
        writing_to(tmp_path / "file"),
    ):
        (tmp_path / "file" / "page.html").write_text("")
    with pytest.raises(UserError, match="choose another folder with --into"), writing_to(tmp_path, "--into"):
        raise OSError
    with pytest.raises(KeyError), writing_to(tmp_path):
        raise KeyError


def test_the_lock_is_the_systems_and_not_a_file_that_outlives_its_holder() -> None:
    assert issubclass(filelock.FileLock, filelock.UnixFileLock)
