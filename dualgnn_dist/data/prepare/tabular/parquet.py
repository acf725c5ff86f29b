"""A Parquet file in columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import Place
from dualgnn_dist.data.prepare.reading import batches, collect, columns_of, existing, numbered


@dataclass(frozen=True)
class ParquetTable:
    """The rows of a Parquet file; every call of `blocks` reads them anew."""

    path: Path

    @cached_property
    def schema(self) -> pl.Schema:
        """The columns and their types. Raises UserError where the file cannot be read."""
        return columns_of(self.frame, self.path)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.schema.names())

    @property
    def frame(self) -> pl.LazyFrame:
        """All of it, unread."""
        return pl.scan_parquet(existing(self.path), glob=False)

    def blocks(self, names: Mapping[str, str], num_rows: int) -> Iterator[tuple[pl.DataFrame, Place]]:
        """As of `TextTable`, but every column has its own type, and rows count from 0."""
        row = 0
        for block in batches(self.frame.select(**names), self.path, num_rows):
            yield block, numbered(self.path, "row", row)
            row += len(block)
        num_rows_said = collect(self.frame.select(pl.len()), self.path).item()
        if row != num_rows_said:
            raise UserError(f"{self.path} says that it has {num_rows_said:,} rows, {row:,} were read; write it anew")
