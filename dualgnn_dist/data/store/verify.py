"""A whole store read, wherever it lies: what is wrong with each of its files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import CountProgress, Say, say_aside
from dualgnn_dist.base.storage.remote import RemoteFolder, is_url
from dualgnn_dist.data.store.schema import MANIFEST, Manifest, ShardInfo, load_manifest, parse_manifest
from dualgnn_dist.data.store.shards import Inside, content_problem, file_problem, map_shard
from dualgnn_dist.data.store.staging import new_workplace
from dualgnn_dist.data.store.tables import Table, problem_of_manifest, tables_of

OK = "ok"
NO_CHECKSUM = "ok, but of an older program: it has no checksum of its own"


@dataclass(frozen=True)
class FileReport:
    """A file of a store: what the manifest says of it, and what is wrong; None: nothing."""

    file: str
    rows: int | None
    num_bytes: int | None
    problem: str | None = None
    note: str = OK


def verify(place: str, say: Say = say_aside) -> list[FileReport]:
    """Reads every byte of the store in a folder or at a URL.

    Beyond sizes and checksums: offsets never fall, ids lie in the store, and both directions of the training
    interactions are the same ones by their counts.

    Raises:
        UserError: there is no store, or its manifest cannot be read at all.
    """
    with _opened(place) as store:
        manifest, tables = store.manifest, tables_of(store.manifest)
        problem = problem_of_manifest(manifest)
        reports = [FileReport(MANIFEST, None, None, problem, OK if manifest.has_checksum else NO_CHECKSUM)]
        progress = CountProgress(say, f"reading {place}", len(manifest.shards), "files")
        degrees = _Degrees(manifest)
        for count, shard in enumerate(manifest.shards, start=1):
            table = tables.get(shard.file.rpartition("-")[0])
            reports.append(store.report(shard, table, degrees))
            progress.at(count)
        if not any(report.problem for report in reports):
            reports = [_with_problem(report, degrees.problem()) for report in reports]
        return reports


class _Degrees:
    """Row lengths of both directions of the training interactions, and what each says of the other's rows."""

    def __init__(self, manifest: Manifest) -> None:
        self._num_train = manifest.num_interactions.get("train", 0)
        sizes = {"graph/user_item": manifest.num_users, "graph/item_user": manifest.num_items}
        others = {"graph/user_item": manifest.num_items, "graph/item_user": manifest.num_users}
        self._sizes = others
        self._lengths: dict[str, list[np.ndarray]] = {name: [] for name in sizes}
        self._named = {name: np.zeros(max(0, size), dtype=np.int64) for name, size in others.items()}

    def add(self, table: str, batch: pa.RecordBatch) -> None:
        """Counts a shard that was found whole."""
        if table in self._lengths:
            column = batch["neighbors"]
            self._lengths[table].append(np.diff(column.offsets.to_numpy()))
            self._named[table] += np.bincount(column.values.to_numpy(), minlength=self._sizes[table])

    def problem(self) -> str | None:
        """What is wrong, once all shards are counted."""
        lengths = {name: np.concatenate(parts or [np.empty(0)]) for name, parts in self._lengths.items()}
        if any(int(of_rows.sum()) != self._num_train for of_rows in lengths.values()):
            sums = {name: int(of_rows.sum()) for name, of_rows in lengths.items()}
            return f"the graphs have {sums} edges, there are {self._num_train} training interactions"
        for one, other in (("graph/user_item", "graph/item_user"), ("graph/item_user", "graph/user_item")):
            if not np.array_equal(self._named[one], lengths[other]):
                return f"{one} and {other} are not the same interactions: their counts differ"
        return None


def _with_problem(report: FileReport, problem: str | None) -> FileReport:
    return replace(report, problem=problem) if report.file == MANIFEST else report


class _Folder:
    """A store on this node."""

    def __init__(self, folder: Path) -> None:
        self.manifest = load_manifest(folder)
        self._folder, self._is_inside = folder, Inside(folder)

    def report(self, shard: ShardInfo, table: Table | None, degrees: _Degrees) -> FileReport:
        """Of one shard, every byte read."""
        path = self._folder / shard.file
        problem = file_problem(self._folder, shard, self._is_inside)
        if problem is None:
            problem = "no store has such a table" if table is None else content_problem(path, shard, table)
        if problem is None:
            degrees.add(shard.file.rpartition("-")[0], map_shard(path))
        return FileReport(shard.file, shard.rows, shard.num_bytes, problem)


class _AtURL(_Folder):
    """A store behind a URL: its files come here one after the other and go again."""

    def __init__(self, url: str, workplace: Path) -> None:
        self._remote = RemoteFolder.at(url)
        if not self._remote.exists(MANIFEST):
            raise UserError(f"{url} is not a store or an unfinished one: it has no {MANIFEST}; make one with `prepare`")
        self.manifest = parse_manifest(self._remote.read_text(MANIFEST), url)
        self._folder, self._is_inside = workplace, Inside(workplace)

    def report(self, shard: ShardInfo, table: Table | None, degrees: _Degrees) -> FileReport:
        """See `_Folder.report`."""
        path = self._folder / shard.file
        try:
            self._remote.download(shard.file, path)
            return super().report(shard, table, degrees)
        except UserError as error:
            return FileReport(shard.file, shard.rows, shard.num_bytes, str(error))
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def _opened(place: str) -> Iterator[_Folder]:
    if not is_url(place):
        yield _Folder(Path(place).absolute())
        return
    workplace = new_workplace(None)
    try:
        yield _AtURL(place, workplace)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
