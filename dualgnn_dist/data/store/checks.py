"""The content of a store is read once on each node, when it is first used there, and compared with the manifest.

What kernels take for rows and offsets is read before it is used; vectors, which are many bytes and no addresses, while
the work goes on. Damage found then is raised where the work asks for it, and nothing that was computed may be
published before `wait` has returned.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from dualgnn_dist.base.liveness import heartbeat
from dualgnn_dist.base.screen import CountProgress, Say, nothing, say_aside
from dualgnn_dist.data.store.schema import Manifest, ShardInfo
from dualgnn_dist.data.store.shards import content_problem, damaged
from dualgnn_dist.data.store.stamps import Mark, Stamps
from dualgnn_dist.data.store.tables import tables_of

SMALL_BYTES = 2 << 20  # a table of fewer is read in every process: that costs no more than to remember it
LONG_BYTES = 64 << 20  # of more unread bytes the work need not wait for
_MAX_THREADS = 8
_NICENESS = 10  # of threads that read beside the work
_SECONDS_BETWEEN_STAMPS = 10.0
_MEGABYTE = 1_000_000


class ContentCheck:
    """Of one store, in one process. Threads may share it."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder, self._manifest = folder, manifest
        self._error: BaseException | None = None
        self._readers: list[threading.Thread] = []
        self._ended = threading.Event()
        weakref.finalize(self, _end, self._ended, self._readers)  # at the latest when the process ends

    def now(self, table: str, anew: bool = False) -> None:
        """Reads what this node has not read of a table.

        Args:
            anew: reads all of it, whatever was read before.

        Raises:
            UserError: naming the first file found that is not what was written.
        """
        _Reading(self._folder, self._manifest, table, self._ended).run(
            _foreground_threads(), say_aside, anew, heartbeat.beat
        )

    def later(self, table: str) -> None:
        """The same in a thread of its own where it takes long; see `refuse_damage` and `wait`."""
        reading = _Reading(self._folder, self._manifest, table, self._ended)
        if reading.unread_bytes() <= LONG_BYTES:
            return self.now(table)
        reader = threading.Thread(target=self._read, args=(reading,), name="store check", daemon=True)
        self._readers.append(reader)
        reader.start()

    def refuse_damage(self) -> None:
        """Raises what the threads have found so far; costs next to nothing."""
        if self._error is not None:
            raise self._error

    def wait(self, timeout: float) -> bool:
        """Whether all that was to be read later has been read, within so many seconds.

        Raises:
            UserError: naming a file that is not what was written.
        """
        ends = time.monotonic() + timeout
        for reader in self._readers:
            reader.join(max(0.0, ends - time.monotonic()))
        self.refuse_damage()
        return not any(reader.is_alive() for reader in self._readers)

    def _read(self, reading: _Reading) -> None:
        with suppress(OSError, AttributeError):  # a thread has a niceness of its own on Linux alone
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        try:
            reading.run(1, nothing, False, lambda: None)  # the work beats for itself
        except _Ended:
            return
        except BaseException as error:  # raised where the work goes on
            self._error = error


class _Reading:
    """One table being read."""

    def __init__(self, folder: Path, manifest: Manifest, table: str, ended: threading.Event) -> None:
        self._folder, self._name, self._ended = folder, table, ended
        self._expected = tables_of(manifest)[table]
        self._shards = manifest.table(table)
        self._is_small = sum(shard.num_bytes for shard in self._shards) <= SMALL_BYTES
        self._stamps = Stamps(folder, table)
        self._lock = threading.Lock()
        self._left: deque[ShardInfo] = deque()
        self._marks: dict[str, Mark] = {}
        self._error: BaseException | None = None

    def unread_bytes(self) -> int:
        """How much there is to read."""
        return 0 if self._is_small else sum(shard.num_bytes for shard in self._stamps.unchecked(self._shards))

    def run(self, num_threads: int, say: Say, anew: bool, beat: Callable[[], None]) -> None:
        """Reads what there is to read and remembers what is whole. Raises UserError at the first that is not.

        Args:
            beat: called while it goes on.
        """
        self._beat = beat
        if self._is_small:
            return self._go_through(self._shards, 1, nothing)
        if not anew and not self._stamps.unchecked(self._shards):
            return
        with self._stamps.held():  # another process may have read it meanwhile
            shards = list(self._shards) if anew else self._stamps.unchecked(self._shards)
            try:
                self._go_through(shards, num_threads, say)
            finally:
                self._stamps.add(self._marks)

    def _go_through(self, shards: Sequence[ShardInfo], num_threads: int, say: Say) -> None:
        num_megabytes = sum(shard.num_bytes for shard in shards) // _MEGABYTE
        self._progress = CountProgress(say, f"checking {self._folder}/{self._name}", num_megabytes, "MB")
        self._left.extend(shards)
        self._num_bytes, self._stamped = 0, time.monotonic()
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(num_threads, len(shards)) - 1)]
        for thread in threads:
            thread.start()
        try:
            self._work()
        finally:
            self._left.clear()
            for thread in threads:
                thread.join()
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while self._error is None and not self._ended.is_set():
            try:
                shard = self._left.popleft()
            except IndexError:
                return
            try:
                self._check(shard)
            except BaseException as error:
                self._error = self._error or error

    def _check(self, shard: ShardInfo) -> None:
        mark = self._stamps.mark(shard)
        problem = content_problem(self._folder / shard.file, shard, self._expected, self._count)
        if problem is not None:
            raise damaged(self._folder, shard.file, problem)
        if not self._is_small:
            with self._lock:
                self._marks[shard.file] = mark
                if time.monotonic() - self._stamped > _SECONDS_BETWEEN_STAMPS:
                    self._stamps.add(self._marks)
                    self._stamped = time.monotonic()

    def _count(self, num_bytes: int) -> None:
        if self._ended.is_set() or self._error is not None:
            raise _Ended
        with self._lock:
            self._num_bytes += num_bytes
            self._progress.at(self._num_bytes // _MEGABYTE)
            self._beat()


def _end(ended: threading.Event, readers: list[threading.Thread]) -> None:
    """Threads that are stopped in the middle of Arrow's code may take the process down with them."""
    ended.set()
    for reader in readers:
        reader.join(timeout=5)  # one that waits for another process ends with this one


class _Ended(Exception):
    """Nobody wants to know any more."""


def _foreground_threads() -> int:
    return min(_MAX_THREADS, len(os.sched_getaffinity(0)))
