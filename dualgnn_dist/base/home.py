"""What a config's relative paths are relative to: the working directory, or a folder that outlives it."""

from __future__ import annotations

import os
from pathlib import Path

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
