"""Where a local Ray keeps its sockets: the system takes paths of 107 bytes, and a long TMPDIR makes longer ones."""

from __future__ import annotations

import os

from dualgnn_dist.base.errors import UserError

LIMIT = 107
# What Ray puts there, with its starter's process id.
_BELOW = "/ray/session_2026-01-01_00-00-00_000000_{}/sockets/plasma_store"


def refuse_long_folder() -> None:
    """Raises UserError where a Ray that is started here could not open its sockets; one that runs already can."""
    if os.environ.get("RAY_ADDRESS"):
        return
    name = "RAY_TMPDIR" if "RAY_TMPDIR" in os.environ else "TMPDIR"
    folder = os.environ.get(name, "/tmp")
    size = len(os.fsencode(folder + _BELOW.format(os.getpid())))
    if size > LIMIT:
        raise UserError(
            f"{name}={folder} is too long a path for Ray: its sockets there would have names of {size} bytes, and the "
            f"system takes {LIMIT}; set RAY_TMPDIR to a shorter folder, such as /tmp"
        )
