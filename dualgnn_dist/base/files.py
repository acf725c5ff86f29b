"""What the processes of one node share on its disk: a cache folder, and locks that end with their holder."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dualgnn_dist.base.config import UserError
from dualgnn_dist.base.screen import Say

VARIABLE = "DUALGNN_CACHE"


def cache_root() -> Path:
    """The folder that the environment names, or the user's own."""
    return Path(os.environ.get(VARIABLE) or "~/.cache/dualgnn_dist").expanduser().absolute()


def working_folder(url: str, name: str) -> Path:
    """Where a run of this name works on this node while it is kept at `url`; another URL, another folder."""
    return cache_root() / "runs" / hashlib.blake2b(url.encode(), digest_size=6).hexdigest() / name


@contextmanager
def locked(path: Path, say: Say, waiting_for: str) -> Iterator[None]:
    """Holds the lock `path`; only one process of the node does. The kernel ends it with the process that holds it.

    Raises:
        UserError: no file can be made there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise UserError(
            f"the cache {path.parent} cannot be written ({error.strerror}); choose another with {VARIABLE}=FOLDER"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process of this node: {waiting_for}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield  # closing the file ends the lock
