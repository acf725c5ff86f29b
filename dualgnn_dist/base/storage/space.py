"""Room on the disk: reserved before a mapped file is written, and said in a sentence where it is used up.

A mapped file that finds no room while it is written ends the process with SIGBUS and without a word; an ordinary write
gives an OSError that names no disk.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dualgnn_dist.base.errors import UserError

_FULL = {
    errno.ENOSPC: "its disk is full",
    errno.EDQUOT: "the quota of its disk is used up",
    errno.EFBIG: "files may not become as large there",
}
_CANNOT_RESERVE = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}
_ZEROS = bytes(1 << 20)
ADVICE = "make room there or choose another folder"


def reserve(descriptor: int, num_bytes: int) -> None:
    """Takes the room for the first `num_bytes` of an open file, which read as zeros where nothing was written.

    Raises:
        OSError: ENOSPC, EDQUOT or EFBIG where there is less; `explained` makes a sentence of it.
    """
    if num_bytes <= 0:
        return
    if not hasattr(os, "posix_fallocate"):  # macOS
        return _write_zeros(descriptor, num_bytes)
    try:
        os.posix_fallocate(descriptor, 0, num_bytes)
    except OSError as error:
        if error.errno not in _CANNOT_RESERVE:
            raise
        _write_zeros(descriptor, num_bytes)  # some network file systems reserve nothing


@contextmanager
def explained(path: Path, num_bytes: int | None = None, advice: str = ADVICE) -> Iterator[None]:
    """Around what writes `path`, a file or a folder: a full disk ends in a sentence. Other errors pass.

    Args:
        num_bytes: what is needed in all, where it is known.
        advice: what the user can do.

    Raises:
        UserError: the disk is full, a quota is used up, or a file may not become as large: where, what is needed and
            what is free.
    """
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise UserError(sentence(path, error, num_bytes, advice)) from error


def is_full(error: BaseException) -> bool:
    """Whether an error says that there is no room."""
    return isinstance(error, OSError) and error.errno in _FULL


def sentence(path: Path, error: OSError, num_bytes: int | None = None, advice: str = ADVICE) -> str:
    """What `explained` says of an error that `is_full`."""
    needed = "" if num_bytes is None else f"{megabytes(num_bytes)} are needed and "
    return f"{path} cannot be written: {_FULL[error.errno or errno.ENOSPC]} ({needed}{_free(path)}); {advice}"


def free_bytes(path: Path) -> int | None:
    """What this user may still write to the disk on which `path` lies or is to lie; None where nobody can say."""
    for folder in (path, *path.parents):
        with suppress(OSError):
            return shutil.disk_usage(folder).free
    return None


def megabytes(num_bytes: int) -> str:
    """`12.3 MB`."""
    return f"{num_bytes / 1e6:,.1f} MB"


def _free(path: Path) -> str:
    free = free_bytes(path)
    return "what is free is unknown" if free is None else f"{megabytes(free)} are free"


def _write_zeros(descriptor: int, num_bytes: int) -> None:
    start = os.fstat(descriptor).st_size  # what is there already keeps its room
    while start < num_bytes:
        start += os.pwrite(descriptor, _ZEROS[: num_bytes - start], start)
