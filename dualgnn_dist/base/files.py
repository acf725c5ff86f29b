"""What the processes of one node share on its disk: a cache folder, and locks that end with their holder."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dualgnn_dist.base.errors import UserError
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


def write_atomically(path: Path, text: str) -> None:
    """The file holds the old text or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)


HOME = "DUALGNN_HOME"


_RAYS_COPIES = ("runtime_resources", "working_dir_files")


def home() -> Path:
    """The folder of relative `data.store` and `run.output`, absolute.

    `DUALGNN_HOME` where it is set. Else the working directory, unless that is the copy that Ray unpacks for a job and
    deletes later: then `~/dualgnn_dist` of the node that the job was started on.
    """
    if chosen := os.environ.get(HOME):
        return Path(chosen).expanduser().absolute()
    return Path("~/dualgnn_dist").expanduser() if is_rays_copy(Path.cwd()) else Path.cwd()


def is_rays_copy(folder: Path) -> bool:
    """Whether a folder is, or lies in, a copy that Ray made of a job's working directory."""
    return any(pair == _RAYS_COPIES for pair in zip(folder.parts, folder.parts[1:], strict=False))


def notice() -> str | None:
    """What a user should hear who has not said where relative paths go and whose working directory will be deleted."""
    if os.environ.get(HOME) or not is_rays_copy(Path.cwd()):
        return None
    return (
        f"this job's working directory is a copy that Ray deletes: relative data.store and run.output are taken from "
        f"{home()}; set {HOME} in the runtime environment's env_vars for another folder, one that all nodes see"
    )
