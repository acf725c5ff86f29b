"""An Arrow file in columns: of the IPC file format (Feather), or of the streaming format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import Place
from dualgnn_dist.data.prepare.reading import existing, numbered, readable

MAGIC = b"ARROW1"


@dataclass(frozen=True)
class ArrowTable:
    """The rows of an Arrow file; every call of `blocks` reads them anew."""

    path: Path

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns. Raises UserError where the file cannot be read."""
        with self._batches() as (schema, _):
            return tuple(schema.names)

    def blocks(self, names: Mapping[str, str], num_rows: int) -> Iterator[tuple[pl.DataFrame, Place]]:
        """As of `ParquetTable`."""
        row = 0
        with self._batches() as (_, batches):
            for batch in batches:
                columns = {name: batch.column(of) for name, of in names.items()}
                chosen = pa.Table.from_pydict(columns) if columns else pa.table({})
                frame = pl.DataFrame(pl.from_arrow(chosen))
                for start in range(0, len(frame), num_rows):
                    yield frame[start : start + num_rows], numbered(self.path, "row", row + start)
                row += batch.num_rows

    @contextmanager
    def _batches(self) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
        """The schema and the record batches, each of them checked before it is given out."""
        try:
            with readable(self.path), pa.memory_map(str(existing(self.path))) as source:
                is_file = source.read(len(MAGIC)) == MAGIC
                source.seek(0)
                reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
                yield reader.schema, _checked(reader, is_file)
        except (pa.ArrowException, ValueError, KeyError) as error:
            words = " ".join(str(error).split())[:200]
            raise UserError(f"{self.path} is no Arrow file, or a damaged one: {words}") from error


def _checked(
    reader: pa.ipc.RecordBatchFileReader | pa.ipc.RecordBatchStreamReader, is_file: bool
) -> Iterator[pa.RecordBatch]:
    batches = (reader.get_batch(k) for k in range(reader.num_record_batches)) if is_file else reader
    for batch in batches:
        batch.validate(full=True)
        yield batch
