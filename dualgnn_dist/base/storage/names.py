"""Names: those that a user gives to runs, sweeps and studies, and paths inside a folder that come from elsewhere.

The first become a folder, a line on a screen, a part of a URL; the second are written to and deleted.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path

MAX_BYTES = 200  # a file system allows 255, and locks and unfinished copies put something before and behind


def check_name(name: str, what: str = "name") -> None:
    """Refuses what could leave its folder, hide in it, read as an option, or upset a terminal.

    Raises:
        ValueError: what is wrong with the name.
    """
    reason = _reason(name)
    if reason is not None:
        raise ValueError(f"{what} {name!r} must be a plain folder name: {reason}")


def _reason(name: str) -> str | None:
    if not name:
        return "it is empty"
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in name):
        return "it has control characters"
    if "/" in name or "\\" in name:
        return "it has a separator"
    if name[0] in ".-":
        return f"it begins with {name[0]!r}"
    if name != name.strip():
        return "it begins or ends with a blank"
    if len(name.encode()) > MAX_BYTES:
        return f"it is longer than {MAX_BYTES} bytes"
    return None


def check_inside(name: str) -> None:
    """Refuses a path, from a listing, a manifest or a checkpoint, that does not plainly lead into its folder.

    Raises:
        ValueError: what is wrong with it.
    """
    if not name:
        reason: str | None = "it is empty"
    elif "\0" in name or "\\" in name:
        reason = "it has a backslash or a NUL"
    elif name.startswith("/"):
        reason = "it is absolute"
    elif {"", ".", ".."} & set(name.split("/")):
        reason = "it has '..', '.' or nothing between separators"
    else:
        reason = None
    if reason is not None:
        raise ValueError(f"{name!r} is no path inside the folder: {reason}")


def inside(folder: Path, name: str) -> Path:
    """The path that such a name means in a folder on this node, links resolved as the system will resolve them.

    Raises:
        ValueError: it leads out of the folder, by its name or through a link.
    """
    check_inside(name)
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{name!r} leads out of {folder} through a link")
    return path
