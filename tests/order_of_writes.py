"""The fixture `writes`: what is forced to disk, renamed, sent to a URL and deleted there, in the order in which it is.

Nobody must ever take half of something: what says that a thing is whole is written after the rest of it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dualgnn_dist.base.storage.remote import RemoteFolder
from dualgnn_dist.base.world import World

Write = tuple[str, str]
"""(what happened, to which file): `sync`, `rename`, `upload`, `delete`; of a folder behind a URL the name in it."""


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[Write]:
    """Grows with every write; threads may write at the same time."""
    recorded: list[Write] = []

    def record(owner: Any, method: str, event: str, name_of: Callable[..., str]) -> None:
        original = getattr(owner, method)

        def recording(*arguments: Any, **keywords: Any) -> Any:
            name = name_of(*arguments, **keywords)  # before: a file that is renamed is found no more
            result = original(*arguments, **keywords)
            recorded.append((event, name))
            return result

        monkeypatch.setattr(owner, method, recording)

    record(os, "fsync", "sync", lambda descriptor: os.readlink(f"/proc/self/fd/{descriptor}"))
    for method in ("rename", "replace"):
        record(Path, method, "rename", lambda path, target: str(target))
    record(RemoteFolder, "upload", "upload", lambda remote, file, name, *each: name)
    record(RemoteFolder, "write_text", "upload", lambda remote, name, text: name)
    for method in ("delete", "delete_below"):
        record(RemoteFolder, method, "delete", lambda remote, name, *_: name)
    return recorded


@dataclass(frozen=True)
class ThreadWorld(World):
    """A worker that is a thread beside the others: it meets them at barriers, and exchanges texts alone."""

    meeting: threading.Barrier | None = None
    texts: list[str] = field(default_factory=list)

    def barrier(self) -> None:
        assert self.meeting is not None
        self.meeting.wait(timeout=30)

    def gather_texts(self, text: str) -> list[str]:
        self.texts[self.rank] = text
        self.barrier()
        gathered = list(self.texts)
        self.barrier()
        return gathered


def on_threads(size: int, function: Callable[[World], Any]) -> None:
    """`function(world)` on `size` workers at once. The first that raises fails the test."""
    meeting, texts, errors = threading.Barrier(size), [""] * size, []

    def work(rank: int) -> None:
        try:
            function(ThreadWorld(rank, size, meeting=meeting, texts=texts))
        except BaseException as error:
            errors.append(error)
            meeting.abort()

    workers = [threading.Thread(target=work, args=(rank,)) for rank in range(size)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if errors:
        raise errors[0]
