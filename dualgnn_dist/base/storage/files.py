"""Where files lie on this node, and how they are written: relative paths, the cache, locks, files written whole."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.liveness import heartbeat
from dualgnn_dist.base.screen import Say
from dualgnn_dist.base.storage.space import explained

HOME_VARIABLE = "DUALGNN_HOME"  # the folder of relative paths
CACHE_VARIABLE = "DUALGNN_CACHE"  # the folder of what can be fetched or made again
_RAYS_COPIES = ("runtime_resources", "working_dir_files")
_CANNOT_LOCK = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}


def home() -> Path:
    """The folder of relative `data.store` and `run.output`, absolute.

    `DUALGNN_HOME` where it is set. Else the working directory, unless that is the copy that Ray unpacks for a job and
    deletes later: then `~/dualgnn_dist` of the node that the job was started on.

    Raises:
        UserError: it would lie in the user's home folder, and the system names none.
    """
    if named := os.environ.get(HOME_VARIABLE):
        return _absolute(named, HOME_VARIABLE)
    return _absolute("~/dualgnn_dist", HOME_VARIABLE) if is_rays_copy(Path.cwd()) else Path.cwd()


def notice() -> str | None:
    """What a user should hear who has not said where relative paths go and whose working directory will be deleted."""
    if os.environ.get(HOME_VARIABLE) or not is_rays_copy(Path.cwd()):
        return None
    return (
        f"this job's working directory is a copy that Ray deletes: relative data.store and run.output are taken from "
        f"{home()}; set {HOME_VARIABLE} in the runtime environment's env_vars for another folder, one that all nodes "
        "see"
    )


def is_rays_copy(folder: Path) -> bool:
    """Whether a folder is, or lies in, a copy that Ray made of a job's working directory."""
    return any(pair == _RAYS_COPIES for pair in zip(folder.parts, folder.parts[1:], strict=False))


def cache_root() -> Path:
    """The folder that the environment names, or the user's own.

    Raises:
        UserError: the environment names none, and the system names no home folder of this user.
    """
    return _absolute(os.environ.get(CACHE_VARIABLE) or "~/.cache/dualgnn_dist", CACHE_VARIABLE)


def working_folder(url: str, name: str, purpose: str = "runs") -> Path:
    """Where a run of this name works on this node while it is kept at `url`; another URL, another folder."""
    return cache_root() / purpose / hashlib.blake2b(url.encode(), digest_size=6).hexdigest() / name


@contextmanager
def locked(path: Path, say: Say, waiting_for: str) -> Iterator[None]:
    """Holds the lock `path`; only one process of the node does. The system ends it with the process that holds it.

    Args:
        say: hears of it when another process has to be waited for.
        waiting_for: what that process does.

    Raises:
        UserError: no file can be made there, or its file system knows no locks.
    """
    # Never a lock by the mere presence of a file: that outlives a holder that was killed.
    lock = filelock.FileLock(path, fallback_to_soft=False)
    if not _acquired(lock, seconds=0):
        say(f"waiting for another process of this node: {waiting_for}")
        while not _acquired(lock, seconds=5):
            heartbeat.beat()
    try:
        yield
    finally:
        lock.release()


def _acquired(lock: filelock.BaseFileLock, seconds: float) -> bool:
    folder = Path(lock.lock_file).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=seconds)
    except filelock.Timeout:
        return False
    except OSError as error:
        cause = "cannot lock files" if error.errno in _CANNOT_LOCK else "cannot be written"
        raise UserError(
            f"the cache {folder} {cause} ({error.strerror}); choose another with {CACHE_VARIABLE}=FOLDER"
        ) from error
    return True


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A file that appears whole or not at all: yields the path to write to, and renames it to `path` at the end.

    What is written lies beside `path`, hidden, under a name that no other process or thread takes; an error removes it
    and leaves what was at `path`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        with explained(path):
            yield temporary
            temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def write_atomically(path: Path, text: str) -> None:
    """The file holds the old text or the new one, never a part."""
    with written_whole(path) as temporary:
        temporary.write_text(text)


def umask() -> int:
    """The permissions that new files of this process lack; the system tells only who sets it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def writing_to(folder: Path, option: str = "--output") -> Iterator[None]:
    """Around what writes into a folder that the user named with `option`.

    Raises:
        UserError: something could not be written there.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror or error}); choose another folder with {option}"
        ) from error


def _absolute(path: str, variable: str) -> Path:
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:  # a container's user without an entry and without HOME
        raise UserError(f"this user has no home folder for {path}; choose a folder with {variable}=FOLDER") from None
