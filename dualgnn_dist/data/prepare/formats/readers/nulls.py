"""Rows that lack a value: refused all at once, or left out and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import Place
from dualgnn_dist.data.prepare.reading import chosen_rows

Nulls = Literal["refuse", "drop"]


class Presence:
    """Keeps the rows that have all their values, and counts the others.

    Attributes:
        num_rows: how many lacked one.
    """

    def __init__(self, nulls: Nulls | None, in_file: Mapping[str, str]) -> None:
        self.nulls, self.in_file = nulls, in_file
        self.num_rows = 0
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def of(self, block: pl.DataFrame, place: Place) -> tuple[pl.DataFrame, Place]:
        """The rows of a block that have all their values; NaN is none."""
        floats = [name for name in self.in_file if block[name].dtype.is_float()]
        block = block.with_columns(pl.col(floats).fill_nan(None)) if floats else block
        missing = {name: block[name].is_null() for name in self.in_file if block[name].has_nulls()}
        if not missing:
            return block, place
        for name, is_null in missing.items():
            self._counts[name] += int(is_null.sum())
            self._first.setdefault(name, place(int(np.argmax(is_null.to_numpy()))))
        is_whole = ~pl.DataFrame(missing).select(pl.any_horizontal(pl.all())).to_series()
        self.num_rows += len(block) - int(is_whole.sum())
        return chosen_rows(block, is_whole, place)

    def check(self, path: Path) -> None:
        """Raises UserError where values were missing and must not be: how many of each column, and the first."""
        if self.nulls == "drop" or not self.num_rows:
            return
        counts = ", ".join(
            f"{count:,} without {self.in_file[name]!r} (the first: {self._first[name]})"
            for name, count in self._counts.items()
        )
        cure = "remove these rows" if self.nulls is None else "leave them out with prepare.options.nulls=drop"
        raise UserError(f"{path} has rows that lack a value: {counts}; fill them in, or {cure}")
