"""What a file in columns is to whoever reads it, whatever kind of file it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import Place


class Rows(Protocol):
    """A file in columns; see `TextTable` and `ParquetTable`; `opening` makes the one that fits."""

    @property
    def path(self) -> Path:
        """Where it lies."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns."""

    def blocks(self, names: Mapping[str, str], num_rows: int) -> Iterator[tuple[pl.DataFrame, Place]]:
        """Chosen columns, in blocks of at most so many rows, with their places in words."""
