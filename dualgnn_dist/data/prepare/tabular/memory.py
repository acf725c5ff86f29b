"""A table that a Python program holds, of whatever library."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import BLOCK_ROWS, Place
from dualgnn_dist.data.prepare.reading import batches, numbered


@dataclass(frozen=True)
class MemoryTable:
    """The rows of a table in memory.

    Args:
        path: what it is called in messages.
    """

    path: Path
    frame: pl.LazyFrame

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.frame.collect_schema().names())

    def blocks(self, names: Mapping[str, str], num_rows: int) -> Iterator[tuple[pl.DataFrame, Place]]:
        """As of `ParquetTable`."""
        row = 0
        for block in batches(self.frame.select(**names), self.path, num_rows):
            yield block, numbered(self.path, "row", row)
            row += len(block)

    def checksum(self) -> str:
        """BLAKE2b-128 of the columns' values."""
        digest, start = hashlib.blake2b(digest_size=16), 0
        while len(block := self.frame.slice(start, BLOCK_ROWS).collect()):
            for batch in block.to_arrow().combine_chunks().to_batches():
                digest.update(batch.serialize())
            start += len(block)
        return digest.hexdigest()


def memory_table(name: str, table: Any) -> MemoryTable:
    """A table of polars, pandas, Arrow, Hugging Face or a mapping of columns, as one of `Rows`.

    Args:
        name: what it is called in messages.
        table: a polars frame, eager or lazy; what hands out Arrow streams (pandas, Arrow, DuckDB); a `Dataset` of
            Hugging Face; or column -> array or list.

    Raises:
        UserError: it is none of these, or its columns differ in length.
    """
    try:
        frame = _frame(table)
    except (pl.exceptions.PolarsError, pa.ArrowException, ValueError, TypeError) as error:
        words = " ".join(str(error).split())[:200]
        raise UserError(f"{name} cannot be taken as a table: {words}") from error
    return MemoryTable(Path(name), frame.lazy())


def _frame(table: Any) -> pl.DataFrame | pl.LazyFrame:
    if isinstance(table, (pl.DataFrame, pl.LazyFrame)):
        return table
    if isinstance(table, Mapping):
        return pl.DataFrame({str(name): column_of(values) for name, values in table.items()})
    if hasattr(table, "with_format"):  # a Dataset of Hugging Face, with its own selection and order of rows
        table = table.with_format("arrow")[:]
    if hasattr(table, "__arrow_c_stream__"):
        return pl.DataFrame(pl.from_arrow(pa.table(table)))
    raise TypeError(f"a {type(table).__name__} is no polars, pandas or Arrow table and no mapping of columns")


def column_of(values: Any) -> pl.Series:
    """A list, an array of NumPy, torch or Arrow, or a series, as a series of polars."""
    if hasattr(values, "detach"):  # a tensor of torch
        values = values.detach().cpu().numpy()
    if isinstance(values, np.ndarray) and values.ndim == 2:
        return pl.Series(values, dtype=pl.Array(pl.Series(values[:0, 0]).dtype, values.shape[1]))
    return pl.Series(values)
