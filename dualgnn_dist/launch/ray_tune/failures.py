"""What Ray writes of a trial that failed, as one sentence."""

from __future__ import annotations

import re

_LONGEST = 400  # letters of a reason; the rest is in the file
_OWN_ERRORS = re.compile(r"(?m)^(dualgnn_dist\.[\w.]+: |[\w.()]*\b(UserError|Diverged)\b)")
_PROCESS_DIED = ("ActorDiedError", "ActorUnavailableError", "actor died", "actor is dead", "worker process has died")


def is_its_own(text: str) -> bool:
    """Whether a trial itself said why, in words made for people; all else is worth reading whole."""
    return _OWN_ERRORS.search(text) is not None


def reason(text: str) -> str:
    """Of a trace the line that says what was wrong, without the name of the exception's class."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return "no reason was given"
    if not is_its_own(text) and any(sign in text for sign in _PROCESS_DIED):
        return "its process ended without a word: it was killed, ran out of memory, or its node was lost"
    return re.sub(r"^[\w.]+: ", "", lines[-1])[:_LONGEST]
