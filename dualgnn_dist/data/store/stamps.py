"""What this node has read and found whole: a small file in its cache for every large table of a store.

    <cache>/checked/<digest of node and store>/<table>.json    file -> size, times, inode and checksum when it was read
                                               <table>.lock    held by the process that reads the table

A file that was written to since, or replaced, is another one and is read again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import nothing, say_aside
from dualgnn_dist.base.storage.files import cache_root, locked, write_atomically
from dualgnn_dist.data.store.schema import ShardInfo

Mark = list[int | str]


class Stamps:
    """Of one table. Where the cache cannot be written nothing is remembered, and the table is read in every process."""

    def __init__(self, store: Path, table: str) -> None:
        self._store = store
        # A home folder, and the cache in it, may be shared by nodes whose disks are not.
        place = hashlib.blake2b(f"{socket.gethostname()}\n{store}".encode(errors="replace"), digest_size=12).hexdigest()
        try:
            self._path: Path | None = cache_root() / "checked" / place / f"{table.replace('/', '-')}.json"
        except UserError:  # a user without a home folder
            self._path = None

    def unchecked(self, shards: Iterable[ShardInfo]) -> list[ShardInfo]:
        """Those whose files are not what they were when they were last read, or never were."""
        marks = self._load()
        return [shard for shard in shards if marks.get(shard.file, ()) != self.mark(shard)]

    def mark(self, shard: ShardInfo) -> Mark:
        """What a file is known by; taken before it is read."""
        try:
            status = (self._store / shard.file).stat()
        except OSError:
            return []
        times = status.st_mtime_ns, status.st_ctime_ns
        return [status.st_size, *times, status.st_ino, shard.checksum]

    def add(self, marks: dict[str, Mark]) -> None:
        """Remembers files that were found whole. Only who holds the lock calls it."""
        if self._path is not None and marks:
            with contextlib.suppress(OSError, UserError):
                write_atomically(self._path, json.dumps(self._load() | marks))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds the table's lock: of a node's processes one reads and the others wait."""
        with ExitStack() as entered:
            if self._path is not None:
                try:
                    entered.enter_context(locked(self._path.with_suffix(".lock"), nothing, ""))
                except UserError as error:
                    say_aside(f"what is read of {self._store} cannot be remembered: {error}")
                    self._path = None
            yield

    def _load(self) -> dict[str, Mark]:
        try:
            marks = json.loads(self._path.read_text()) if self._path is not None else {}
        except (OSError, ValueError, RecursionError):  # the worst that a damaged one costs is to read the table again
            return {}
        return marks if isinstance(marks, dict) else {}
