"""What became of workers, in words: who died and how, who hangs and where."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.liveness.heartbeat import Pulse, Silence
from dualgnn_dist.base.screen import duration, visible

_TAIL_BYTES = 20_000
# What workers raise when another one is gone.
_COLLATERAL = re.compile(r"Connection (reset|closed|refused)|gloo|nccl|broken pipe|timed out waiting", re.I)


@dataclass
class Member:
    """One worker of a group.

    Args:
        is_here: whether its node is this one, so that its log can be read and its process ended.
        kills_before: what the system of this node had killed for want of memory when it began.
    """

    rank: int
    process: int
    node: str
    address: str
    is_here: bool
    pulse: Pulse | None = None
    kills_before: int = field(default_factory=lambda: kills_for_memory())

    @property
    def described(self) -> str:
        """Such as `worker 1 (process 7 of 10.0.0.1)`."""
        return f"worker {self.rank} (process {self.process} of {self.address})"

    @property
    def stood(self) -> str:
        """Where it was last seen."""
        return "" if self.pulse is None else f" (last seen at: {self.pulse.described})"


class Hang(Exception):
    """A worker that has not moved on for too long."""


def kills_for_memory() -> int:
    """How many processes the system of this node has killed so far for want of memory; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def is_death(text: str) -> bool:
    """Whether an error says that the process or its node is gone."""
    return any(words in text for words in ("actor died", "actor is dead", "node has died", "is unavailable"))


def is_collateral(error: Exception, text: str) -> bool:
    """Whether it is what a worker raises when another one is gone."""
    return not isinstance(error, (UserError, Hang)) and not is_death(text) and bool(_COLLATERAL.search(text))


def sentence(members: Mapping[int, Member], errors: Mapping[int, tuple[Exception, str]]) -> str:
    """Who failed and how, without those who only noticed.

    Args:
        errors: by rank, the error and its whole text.
    """
    to_blame = {rank: error for rank, error in errors.items() if not is_collateral(*error)} or dict(errors)
    parts = []
    for rank, (error, text) in sorted(to_blame.items()):
        member = members.get(rank)
        who = f"worker {rank}" if member is None else member.described
        parts.append(f"{who} {_how(error, text, member)}")
    return "; ".join(parts)


def _how(error: Exception, text: str, member: Member | None) -> str:
    stood = "" if member is None else member.stood
    if isinstance(error, Hang):
        return str(error)
    if is_death(text):
        return f"died{stood}: {_cause(text, member)}"
    if is_collateral(error, text):
        return f"lost the connection to another one{stood}"
    if isinstance(error, UserError):
        return f"refused: {visible(str(error))}"
    lines = str(error).strip().splitlines() or [""]
    return f"failed{stood} with {type(error).__name__}: {visible(lines[0])[:300]}"


def _cause(text: str, member: Member | None) -> str:
    """Ray knows exit codes and its own kills; of a signal it sees the closed connection alone."""
    if re.search(r"running low on memory|memory monitor", text):
        return "Ray killed it for want of memory on its node"
    if "is unavailable" in text:
        return "it cannot be reached, and perhaps its node is gone"
    if "node has died" in text or "node was terminated" in text or "node failure" in text:
        return "its node is gone"
    if code := re.search(r"exit code (\d+)", text):
        return f"exit code {code[1]}"
    if member is not None and member.is_here:
        log = log_of(member.process)
        if name := re.search(r"\*\*\* (SIG[A-Z]+) (?:received|\(@)|Fatal Python error: ([^\n]+)", log):
            return name[1] or name[2]
        if kills_for_memory() > member.kills_before:
            return "the system killed it for want of memory"
    return "killed from outside by a signal such as SIGKILL, as far as can be known"


def of_a_start(text: str) -> str:
    """Why no worker came to its work, from the text of Ray's error."""
    if is_death(text):
        return f"one died ({_cause(text, None)})"
    return visible((text.strip().splitlines() or ["no reason was given"])[-1])[:300]


def log_of(process: int) -> str:
    """The end of what a worker of this node has written to standard error; nothing where that is not known."""
    with contextlib.suppress(OSError):
        own = Path(os.readlink("/proc/self/fd/2"))
        for path in own.parent.glob(f"worker-*-{process}.err"):
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
                return file.read().decode(errors="replace")
    return ""


def hang_of(silence: Silence, is_answering: bool) -> Hang:
    """What is said of a worker that does not move."""
    pulse, seconds = silence.last, silence.seconds
    doing = "it never said what it does" if pulse is None else f"it stands at {pulse.described}"
    answers = "" if is_answering else " and answers nothing"
    return Hang(f"has not moved on for {duration(seconds)}{answers}: {doing}")


def story(members: Sequence[Member], errors: Mapping[int, tuple[Exception, str]], stacks: Mapping[int, str]) -> str:
    """All that is known, worker by worker."""
    parts = []
    for member in members:
        error, text = errors.get(member.rank, (None, "no error of its own"))
        parts.append(f"=== {member.described}{member.stood}\n{text}")
        if member.rank in stacks:
            parts.append(f"--- where its threads stand\n{stacks[member.rank]}")
        if error is not None and member.is_here and (log := log_of(member.process)):
            parts.append(f"--- the end of its standard error\n{log}")
    return "\n".join(parts)
