"""Ids that are row indices: every row below the largest takes memory, whether it occurs or not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import Place
from dualgnn_dist.data.prepare.reading import refuse_first, row_numbers

ALWAYS_FINE = 1 << 20  # rows that no machine minds
NO_TIMES = "the format {!r} has no times; a file with a column of them is for the format 'table'"


@dataclass(frozen=True)
class RowIds:
    """How a format reads ids that are row indices.

    Args:
        end: ids lie below it.
    """

    end: int

    @classmethod
    def within(cls, files: Iterable[Path], num_rows: Iterable[int] = ()) -> RowIds:
        """What files of their size can mean: an id a byte is ten times what densely numbered ids need.

        Args:
            files: the interactions.
            num_rows: of the features, which are there whether an interaction names them or not.
        """
        size = max(ALWAYS_FINE, sum(path.stat().st_size for path in files), *num_rows)
        return cls(min(size, np.iinfo(np.int32).max))

    def read(self, column: pl.Series, name: str, place: Place) -> pl.Series:
        """`column` as ids, Int64. Raises UserError for a value that is none; says where."""
        ids = row_numbers(column, name, place)
        refuse_first(ids >= self.end, place, lambda row: self.words(name, ids[row]))
        return ids

    def words(self, name: str, id: int) -> str:
        """Why an id is too large, and what to do."""
        return (
            f"{name} {id} cannot be a row index: ids of a file of this size lie below {self.end:,}; use the format "
            "'table', which renumbers them"
        )
