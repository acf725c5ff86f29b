"""Writes a store so that it is either whole or not there.

Shards go into a hidden folder beside the target; every file is forced to disk; the manifest comes last; one rename
makes the store appear. A process killed before that leaves a hidden folder without a manifest, which no reader opens
and the next writer deletes. One process at a time makes a store, and of one that it replaces it deletes what that
store's manifest names.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import Say, say
from dualgnn_dist.base.storage.files import umask
from dualgnn_dist.base.storage.locks import only_writer
from dualgnn_dist.base.storage.space import explained
from dualgnn_dist.data.store import removal
from dualgnn_dist.data.store.schema import (
    FORMAT_VERSION,
    MANIFEST,
    Manifest,
    ModalityInfo,
    ShardInfo,
    checksum,
    fingerprint,
    manifest_text,
    shard_file,
)

_ADVICE = "make room there, or choose another folder for the store"


class StoreWriter:
    """A context: `append` shards, then `commit`. Leaving it without a commit removes what was written.

    Args:
        path: the store's folder, which must not exist.
        rows_per_shard: rows of every shard of a table but its last.
        overwrite: an existing store at `path` is replaced at the commit, and stays readable until then.
        say: hears what writers that were killed had left, and what of a replaced store is not deleted.

    Attributes:
        folder: where the shards go until the commit.

    Raises:
        UserError: `path` exists and may not be replaced, another process writes it, or nothing can be written there.
    """

    def __init__(self, path: Path, rows_per_shard: int, overwrite: bool = False, say: Say = say) -> None:
        # Of a link it is what it leads to that is replaced, on the disk that was chosen for it.
        self.path = path.resolve() if path.is_symlink() else path.absolute()
        self.rows_per_shard = rows_per_shard
        self._say = say
        self._shards: list[ShardInfo] = []
        self._num_shards: dict[str, int] = {}
        removal.refuse_existing(self.path, overwrite)
        with ExitStack() as held:
            held.enter_context(only_writer(self.path, "the store", say))
            removal.refuse_existing(self.path, overwrite)  # another process has made it meanwhile
            removal.clear_unfinished(self.path, say)
            try:
                self.folder = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.unfinished-", dir=self.path.parent))
            except OSError as error:
                raise UserError(f"no store can be made at {path} ({error.strerror}); choose another folder") from error
            self._held = held.pop_all()

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._held:
            removal.remove_own(self.folder)

    def append(self, table: str, columns: Mapping[str, Any]) -> None:
        """Writes a table's next shard as ONE record batch: Arrow or numpy columns of at most `rows_per_shard` rows.

        Raises:
            UserError: the disk is full.
        """
        batch = pa.RecordBatch.from_pydict({name: pa.array(column) for name, column in columns.items()})
        index = self._num_shards.get(table, 0)
        assert 0 < batch.num_rows <= self.rows_per_shard, f"{table}: {batch.num_rows} rows"
        assert index == 0 or self._last_rows(table) == self.rows_per_shard, f"{table}: only the last shard may be short"
        path = self.folder / shard_file(table, index)
        with explained(self.path / shard_file(table, index), batch.nbytes, _ADVICE):
            path.parent.mkdir(exist_ok=True)
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as file:
                file.write_batch(batch)
            _sync(path)
        self._num_shards[table] = index + 1
        info = ShardInfo(
            file=shard_file(table, index),
            rows=batch.num_rows,
            num_bytes=path.stat().st_size,
            checksum=checksum(path),
        )
        self._shards.append(info)

    def append_rows(self, table: str, columns: Mapping[str, Any]) -> None:
        """Writes whole columns as as many shards as they need; no rows, no shard."""
        num_rows = len(next(iter(columns.values())))
        for start in range(0, num_rows, self.rows_per_shard):
            self.append(table, {name: column[start : start + self.rows_per_shard] for name, column in columns.items()})

    def commit(
        self,
        *,
        num_users: int,
        num_items: int,
        num_interactions: dict[str, int],
        modalities: dict[str, ModalityInfo],
        settings: dict[str, Any],
        sources: dict[str, str],
    ) -> Manifest:
        """Writes the manifest and makes the store appear at its path.

        Raises:
            UserError: the disk is full.
        """
        shards = tuple(sorted(self._shards, key=lambda shard: shard.file))
        manifest = Manifest(
            format_version=FORMAT_VERSION,
            num_users=num_users,
            num_items=num_items,
            num_interactions=num_interactions,
            rows_per_shard=self.rows_per_shard,
            modalities=modalities,
            settings=settings,
            sources=sources,
            shards=shards,
            fingerprint=fingerprint(shards, modalities),
        ).with_checksum()
        with explained(self.path / MANIFEST, advice=_ADVICE):
            for folder in self.folder.iterdir():
                _sync(folder)
            path = self.folder / MANIFEST
            path.write_text(manifest_text(manifest))
            _sync(path)
            _sync(self.folder)
            self._appear()
        return manifest

    def _appear(self) -> None:
        self.folder.chmod(0o777 & ~umask())  # mkdtemp makes folders that only their owner reads
        if self.path.exists():  # a folder cannot be renamed over one that is not empty
            old = Path(tempfile.mkdtemp(prefix=f".{self.path.name}.replaced-", dir=self.path.parent))
            self.path.rename(old / "store")
            self.folder.rename(self.path)
            removal.remove_replaced(old, self._say)
        else:
            self.folder.rename(self.path)
        _sync(self.path.parent)

    def _last_rows(self, table: str) -> int:
        return next(shard.rows for shard in reversed(self._shards) if shard.file.startswith(f"{table}-"))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
