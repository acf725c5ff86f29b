"""One writer at a time: a lock that lives as long as the process that holds it, and tells a second one who that is."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import Say

_CANNOT_LOCK = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}


@contextmanager
def only_writer(target: Path, what: str, say: Say) -> Iterator[None]:
    """Holds the lock of a run, a sweep or a store being made; the system releases it when this process dies.

    The lock is a hidden file beside `target` that stays there: a file deleted while another process waits for it
    would be locked twice. It works between the nodes of a shared file system that knows locks (NFS, most others).

    Args:
        target: the folder that is written, which need not exist; the one above it is made.
        what: names it in messages, such as "the run".
        say: hears that the file system knows no locks; the work goes on then.

    Raises:
        UserError: another process holds it: which one and since when; or no file can be made there.
    """
    path = target.with_name(f".{target.name}.writer")
    lock = filelock.FileLock(path, fallback_to_soft=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise UserError(
            f"{what} {target} is being written by {_holder(path)}; wait for it or end it, or choose another name"
        ) from None
    except OSError as error:
        if error.errno not in _CANNOT_LOCK:
            raise UserError(f"{path.parent} cannot be written ({error.strerror}); choose another folder") from error
        say(f"{path.parent} is on a file system without locks: see to it yourself that nobody else writes {target}")
        yield
        return
    try:
        with contextlib.suppress(OSError):  # who holds it is told as a kindness
            path.write_text(json.dumps({"process": os.getpid(), "host": socket.gethostname(), "since": time.time()}))
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.read_text())
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["since"]))
        return f"process {int(holder['process'])} on {holder['host']!s:.100} since {since}"
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return "another process"
