"""One writer at a time: a lock that lives as long as the process that holds it, and tells a second one who that is."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import Say

_CANNOT_LOCK = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}


@contextmanager
def only_writer(
    target: Path,
    what: str,
    say: Say,
    *,
    role: str = "writer",
    patience: float = 0.0,
    hint: str = "choose another folder",
) -> Iterator[None]:
    """Holds the lock of a run, a sweep or a store being made; the system releases it when this process dies.

    The lock is a hidden file beside `target`, there while it is held and after a kill. It works between the nodes of a
    shared file system that knows locks (NFS, most others).

    Args:
        target: the folder that is written, which need not exist; the one above it is made.
        what: names it in messages, such as "the run".
        say: hears that the file system knows no locks, the work goes on then; and that a holder is waited for.
        role: of the writer; those of other roles have locks of their own.
        patience: seconds to wait for a holder that is about to end.
        hint: what to do where nothing can be written there.

    Raises:
        UserError: another process holds it: which one and since when; or no file can be made there.
    """
    path = target.with_name(f".{target.name}.{role}")
    # filelock itself looks again whether the file that it locked still has its name, so its holder may delete it.
    lock = filelock.FileLock(path, fallback_to_soft=False)
    made = [folder for folder in path.parents if not folder.exists()]
    try:
        _acquire(lock, path, f"{what} {target}", say, patience)
    except OSError as error:
        if error.errno not in _CANNOT_LOCK:
            is_file = isinstance(error, FileExistsError)  # where a folder should be
            reason = os.strerror(errno.ENOTDIR) if is_file else error.strerror
            raise UserError(f"{what} {target} cannot be written ({reason}); {hint}") from error
        say(f"{path.parent} is on a file system without locks: see to it yourself that nobody else writes {target}")
        yield
        return
    try:
        with contextlib.suppress(OSError):  # who holds it is told as a kindness
            path.write_text(json.dumps(this_process()))
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()
        with contextlib.suppress(OSError):  # what was refused leaves no empty folders
            for folder in made:
                folder.rmdir()


@contextmanager
def if_free(lock_file: Path) -> Iterator[bool]:
    """Holds a lock if nobody does; yields whether, False also where that cannot be told. Waits for nothing."""
    lock = filelock.FileLock(lock_file, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except (filelock.Timeout, OSError):
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def this_process() -> dict[str, Any]:
    """What a lock says of its holder."""
    return {"process": os.getpid(), "host": socket.gethostname(), "since": time.time()}


def described(holder: Mapping[str, Any]) -> str:
    """What `this_process` said, for people; whatever else lies there is another process."""
    try:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["since"]))
        return f"process {int(holder['process'])} on {holder['host']!s:.100} since {since}"
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        return "another process"


def _acquire(lock: filelock.BaseFileLock, path: Path, what: str, say: Say, patience: float) -> None:
    started, is_told = time.monotonic(), False
    while not _tried(lock, path):
        if time.monotonic() - started >= patience:
            raise UserError(
                f"{what} is being written by {_holder(path)}; wait for it or end it, or choose another name"
            )
        if not is_told:
            say(f"{what} is still being written by {_holder(path)}: waiting up to {patience:.0f} s for its end")
            is_told = True
        time.sleep(0.2)


def _tried(lock: filelock.BaseFileLock, path: Path) -> bool:
    for is_last in (False, False, True):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            return False
        except FileNotFoundError:  # another process has just removed the folder, which it left empty
            if is_last:
                raise
        else:
            return True
    return False


def _holder(path: Path) -> str:
    try:
        return described(json.loads(path.read_text()))
    except (OSError, ValueError, RecursionError):
        return "another process"
