"""What goes wrong: the one error that a user is meant to read, and the nearest name to a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """What is wrong, where, and what to do: a message for the person who gave the input. Programs exit with code 2."""


class Failed(Exception):
    """What came between that is nobody's input: one sentence that names the file with the whole story. Exit code 1."""


class Stopped(Exception):
    """A run that was asked to end early and left a checkpoint: how to go on. `exit_code` is that of the signal."""

    exit_code = 143


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the closest known name, or the list of what is known."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known are: {', '.join(known) or 'none'}"
