"""Names that a user gives to runs, sweeps and studies: each becomes a folder, a line on a screen, a part of a URL."""

from __future__ import annotations

import unicodedata

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
