"""What stands in each column of a file, from all of its rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.readers.clock import EARLIEST, LATEST, UNITS
from dualgnn_dist.data.prepare.formats.readers.iso import looks_like_iso
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.tabular.rows import Rows

BLOCK_ROWS = 1 << 18
MAX_KINDS = 64  # values of a column that are counted one by one
NO_VALUES = ("NULL", "null", "None", "nan", "NaN", "NA", "N/A", "\\N", "undefined")  # texts that others write for none
ENOUGH_TO_REPEAT = 20  # rows
NUM_EXAMPLES = 3
ROWS_WITH_EXAMPLES = 1000


class ColumnProfile:
    """What stands in one column.

    Attributes:
        num_rows, num_nulls: all, and those without a value.
        kinds: value -> how often it stands there; None where there are more than `MAX_KINDS`.
        examples: the first different values, as texts.
        are_whole: all are whole numbers of at least 0 below 2^63, and are written as such.
        are_numbers, are_moments, are_vectors: all are.
        least, most: of numbers.
        no_values: text that may stand for no value -> how often.
        repeats: whether a value of the first block stands there twice.
    """

    def __init__(self, name: str, dtype: Any = None) -> None:
        self.name, self.dtype = name, dtype
        self.num_rows = self.num_nulls = 0
        self.kinds: Counter[str] | None = Counter()
        self.no_values: Counter[str] = Counter()
        self.examples: list[str] = []
        self.are_whole = self.are_numbers = self.are_moments = self.are_vectors = True
        self.least: float | None = None
        self.most: float | None = None
        self.repeats = False

    def update(self, column: pl.Series) -> None:
        """Goes through a block."""
        is_first = self.num_rows == 0
        self.dtype = column.dtype
        self.num_rows += len(column)
        values = (column.fill_nan(None) if column.dtype.is_float() else column).drop_nulls()
        self.num_nulls += len(column) - len(values)
        if not len(values):
            return
        if column.dtype.is_nested() or column.dtype == pl.Binary:
            inner = getattr(column.dtype, "inner", None)
            self.are_vectors &= inner is not None and inner.is_numeric()
            self.are_whole = self.are_numbers = self.are_moments = False
            self.kinds = None
            self.examples = self.examples or [_short(values[0])]
            return
        self.are_vectors = False
        if is_first:
            self.repeats = values.n_unique() < len(values)
        if not self.examples:
            first = values.head(ROWS_WITH_EXAMPLES).unique(maintain_order=True).head(NUM_EXAMPLES)
            self.examples = [_short(value) for value in first]
        self._count(values)
        if column.dtype == pl.String:
            self.no_values.update(dict(values.filter(values.is_in(NO_VALUES)).value_counts().rows()))
        self._look(values.cast(pl.String) if values.dtype in (pl.Categorical, pl.Enum) else values)

    def _count(self, values: pl.Series) -> None:
        if self.kinds is None:
            return
        counts = values.cast(pl.String).value_counts(name="times")
        self.kinds.update(dict(counts.rows()) if len(counts) <= MAX_KINDS else {})
        if max(len(counts), len(self.kinds)) > MAX_KINDS:
            self.kinds = None

    def _look(self, values: pl.Series) -> None:
        dtype = values.dtype
        self.are_moments &= dtype == pl.Date or isinstance(dtype, pl.Datetime) or dtype == pl.String
        if self.are_moments and dtype == pl.String:
            self.are_moments = bool(looks_like_iso(values).all())
        if dtype.is_temporal() or dtype == pl.Boolean:
            self.are_whole = self.are_numbers = False
        if self.are_whole:
            whole = values.cast(pl.Int64, strict=False)
            self.are_whole = not whole.has_nulls() and bool((whole >= 0).all())
            if self.are_whole and dtype == pl.String:  # a number would forget a zero in front
                self.are_whole = not values.str.contains(r"^(?:[+]|0[0-9])").any()
            if self.are_whole and dtype.is_float():
                self.are_whole = bool((whole.cast(dtype) == values).all())
        if self.are_numbers:
            numbers = values.cast(pl.Float64, strict=False)
            self.are_numbers = not numbers.has_nulls()
            if self.are_numbers:
                least, most = float(numbers.min()), float(numbers.max())  # type: ignore[arg-type]
                self.least = least if self.least is None else min(least, self.least)
                self.most = most if self.most is None else max(most, self.most)

    @property
    def has_values(self) -> bool:
        """Whether any row has one."""
        return self.num_nulls < self.num_rows

    @property
    def are_unlike(self) -> bool:
        """Whether, of enough of them, no two are the same."""
        return not self.repeats and self.num_rows >= ENOUGH_TO_REPEAT

    @property
    def are_since_1970(self) -> bool:
        """Whether all are numbers that are times of the years 1990 to 2100 in one unit."""
        if not self.are_numbers or self.least is None or self.most is None:
            return False
        return any(EARLIEST * factor <= self.least and self.most < LATEST * factor for factor in UNITS.values())

    @property
    def are_ids(self) -> bool:
        """Whether they can be ids at all: whole numbers, or texts."""
        is_text = self.dtype in (pl.String, pl.Categorical, pl.Enum)
        return self.has_values and (self.are_whole or (is_text and not self.are_moments) or self._is_integer)

    @property
    def _is_integer(self) -> bool:
        return self.dtype is not None and self.dtype.is_integer()

    @property
    def words(self) -> str:
        """What all values are, in words."""
        if not self.has_values:
            return "empty"
        if self.are_vectors:
            return "lists"
        if self.are_moments:
            return "moments"
        return "whole" if self.are_whole else "numbers" if self.are_numbers else "text"


def own_columns(rows: Rows) -> list[str]:
    """The columns that can be named, without those whose keys are columns of their own."""
    columns = rows.columns
    return [
        name
        for name in columns
        if name and columns.count(name) == 1 and not any(other.startswith(f"{name}.") for other in columns)
    ]


def profiles_of(rows: Rows, names: Iterable[str]) -> dict[str, ColumnProfile]:
    """Goes through all rows of a file. Raises UserError where they cannot be read, or there is none."""
    names = list(names)
    profiles = {name: ColumnProfile(name) for name in names}
    num_rows = 0
    for block, _ in rows.blocks({name: name for name in names}, BLOCK_ROWS):
        num_rows += len(block)
        for name in names:
            profiles[name].update(block[name])
    if not num_rows:
        raise UserError(f"{rows.path} cannot be inspected: it has no rows")
    return profiles


def _short(value: Any) -> str:
    text = str(value.to_list() if isinstance(value, pl.Series) else value)
    return text if len(text) <= 24 else text[:21] + "..."
