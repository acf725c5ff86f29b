"""One shard's file: mapped, and compared with what the manifest says of it.

`refuse_layout` costs the same whatever a shard holds: its size, footer and the ends of its lists. `content_problem`
reads every byte. Kernels read by raw addresses, so what they take for a row or an offset must have been checked.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.schema import AGAIN, Manifest, ShardInfo
from dualgnn_dist.data.store.tables import Column, Table, tables_of

_CHUNK_BYTES = 4 << 20
EachBytes = Callable[[int], None]


def map_shard(path: Path | str) -> pa.RecordBatch:
    """The one record batch of a shard, as views on the mapped file.

    Raises:
        UserError: the file is not what the writer wrote.
    """
    try:
        with pa.memory_map(str(path)) as source:  # the batch's buffers keep the mapping alive
            file = pa.ipc.open_file(source)
            if file.num_record_batches == 1:
                return file.get_batch(0)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path} is damaged ({_one_line(error)}); {AGAIN}") from error
    raise UserError(f"{path} is damaged (not one record batch); {AGAIN}")


def refuse_layout(folder: Path, manifest: Manifest) -> None:
    """Compares every shard's place, size, rows, types and the ends of its lists with the manifest.

    Raises:
        UserError: naming the first shard that is missing, cut off, or not of the table that it stands for.
    """
    is_inside = Inside(folder)
    for name, table in tables_of(manifest).items():
        schema, num_present = None, 0
        for shard in manifest.table(name):
            if problem := file_problem(folder, shard, is_inside):
                raise UserError(f"{folder}: the shard {shard.file} {problem}; {AGAIN}")
            batch = map_shard(folder / shard.file)
            if problem := layout_problem(batch, shard, table, schema):
                raise damaged(folder, shard.file, problem)
            schema = batch.schema
            num_present += shard.rows - batch.column(0).null_count
        info = manifest.modalities.get(name.removeprefix("features/"))
        if info is not None and info.num_present != num_present:
            problem = f"{num_present} items have it, the manifest says {info.num_present}"
            raise damaged(folder, manifest.table(name)[0].file, problem)


class Inside:
    """Whether a path, its links followed, lies in a folder; asks once for the files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._root = os.path.realpath(folder)
        self._parents: dict[str, bool] = {}

    def __call__(self, path: str, is_link: bool) -> bool:
        """Whether this one does."""
        if is_link:
            return self._is_below(os.path.realpath(path))
        parent = os.path.dirname(path)
        if parent not in self._parents:
            self._parents[parent] = self._is_below(os.path.realpath(parent))
        return self._parents[parent]

    def _is_below(self, path: str) -> bool:
        return os.path.commonpath([self._root, path]) == self._root


def damaged(folder: Path, file: str, problem: str) -> UserError:
    """What is said of a shard that is not what was written."""
    return UserError(f"{folder}: the shard {file} is damaged ({problem}); {AGAIN}")


def file_problem(folder: Path, shard: ShardInfo, is_inside: Inside) -> str | None:
    """What is wrong with a shard's file by its place and size; None: nothing."""
    path = os.path.join(folder, shard.file)
    try:
        status = os.lstat(path)
        is_link = stat.S_ISLNK(status.st_mode)
        if is_link:
            status = os.stat(path)
    except (OSError, ValueError):
        return "is missing"
    if not is_inside(path, is_link):
        return "lies outside the store"
    if not stat.S_ISREG(status.st_mode):
        return "is missing: there is something else of that name"
    if status.st_size != shard.num_bytes:
        return f"has {status.st_size} bytes, the manifest says {shard.num_bytes}"
    return None


def layout_problem(
    batch: pa.RecordBatch, shard: ShardInfo, table: Table, schema: pa.Schema | None = None
) -> str | None:
    """What is wrong with a mapped shard by its footer and the ends of its lists; None: nothing.

    Args:
        schema: of the shards before it.
    """
    try:
        return _layout_problem(batch, shard, table, schema)
    except (pa.ArrowException, ValueError) as error:  # of buffers that are too short, of names that are no text
        return _one_line(error)


def _layout_problem(batch: pa.RecordBatch, shard: ShardInfo, table: Table, schema: pa.Schema | None) -> str | None:
    if batch.num_rows != shard.rows:
        return f"it has {batch.num_rows} rows, the manifest says {shard.rows}"
    names = batch.schema.names
    if len(set(names)) != batch.num_columns or not table.required <= set(names) <= table.columns.keys():
        return f"it has the columns {names}, not {list(table.columns)}"
    if schema is not None and batch.schema != schema:
        return "its columns are not those of the shards before it"
    batch.validate()
    for name in names:
        if problem := _problem_of_column(batch[name], table.columns[name]):
            return f"column {name!r}: {problem}"
    if "counts" in names and len(batch["counts"].values) != len(batch["neighbors"].values):
        return "there are not as many counts as neighbors"
    return None


def content_problem(path: Path, shard: ShardInfo, table: Table, each: EachBytes = lambda count: None) -> str | None:
    """What is wrong with a shard, every byte read: its checksum, falling offsets, ids beyond the store; None: nothing.

    Args:
        each: hears how many bytes more were read; what it raises ends the reading.
    """
    try:
        digest, num_bytes = _digest(path, each)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if num_bytes != shard.num_bytes:
        return f"it has {num_bytes:,} bytes, the manifest says {shard.num_bytes:,}"
    if digest != shard.checksum:
        return "its checksum differs from the manifest's"
    try:
        batch = map_shard(path)
        return layout_problem(batch, shard, table) or _problem_of_values(batch, table)
    except (UserError, pa.ArrowException, ValueError) as error:
        return _one_line(error)


def _digest(path: Path, each: EachBytes) -> tuple[str, int]:
    digest, num_bytes = hashlib.blake2b(digest_size=16), 0
    with path.open("rb", buffering=0) as file:
        chunk = memoryview(bytearray(max(1, min(_CHUNK_BYTES, path.stat().st_size))))
        while count := file.readinto(chunk):
            digest.update(chunk[:count])
            num_bytes += count
            each(count)
    return digest.hexdigest(), num_bytes


def _problem_of_column(column: pa.Array, expected: Column) -> str | None:
    if not expected.fits(column.type):
        return f"it holds {column.type}, not {expected.wanted}"
    if column.null_count and not expected.may_miss:
        return f"{column.null_count} rows miss it"
    if pa.types.is_nested(column.type) and column.values.null_count:
        return "numbers are missing"
    return None


def _problem_of_values(batch: pa.RecordBatch, table: Table) -> str | None:
    batch.validate(full=True)  # offsets that never fall, texts that are UTF-8
    for name in batch.schema.names:
        below, column = table.columns[name].below, batch[name]
        if below is not None:
            ends = pc.min_max(column.values if pa.types.is_nested(column.type) else column).as_py()
            if ends["min"] is not None and not 0 <= ends["min"] <= ends["max"] < below:
                return f"column {name!r}: it holds numbers from {ends['min']} to {ends['max']}, not all in [0, {below})"
    if "counts" in batch.schema.names and not batch["counts"].offsets.equals(batch["neighbors"].offsets):
        return "the counts belong to other rows than the neighbors"
    return None


def _one_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
