"""A column of moments, block by block: what it is made of, and that it is made of one thing only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.readers.iso import looks_like_iso, moments_of_iso
from dualgnn_dist.data.prepare.formats.readers.times import moments
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import Place

UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
OF_POLARS = {"ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
EARLIEST, LATEST = 631_152_000, 4_102_444_800  # 1990 and 2100: numbers between them are taken for times since 1970
NUMBERS, TEXTS = "numbers", "microseconds in texts"


class Clock:
    """Reads the times of a column.

    Plain numbers stay what they are: an order needs no unit. Texts as `2024-05-01T10:00:00Z` and dates become
    microseconds since 1970 in UTC; `datetime` columns keep their unit.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.first: dict[str, str] = {}
        """Kind or unit -> where it was met first."""
        self._others = False  # numbers that are no time since 1970 in any unit
        self._has_no_zone = False
        self._range: tuple[int, int] | None = None

    def read(self, column: pl.Series, place: Place) -> tuple[pl.Series, pl.Series | None]:
        """As `times.moments`: whole numbers (Int64, null where there is no moment), and fractions beyond them."""
        if column.dtype in (pl.Categorical, pl.Enum):
            column = column.cast(pl.String)
        if column.dtype == pl.String and (is_iso := looks_like_iso(column).fill_null(False)).any():
            whole, fractions = self._of_texts(column, is_iso.to_numpy(), place)
        elif column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime):
            column = column.cast(pl.Datetime("us")) if column.dtype == pl.Date else column
            whole, fractions = moments(column)
            unit = getattr(column.dtype, "time_unit", "us")
            self._meet(OF_POLARS[unit], 0, place, len(column))
        else:
            whole, fractions = moments(column)
            self._meet_numbers(whole, place)
        if whole.len() > whole.null_count():
            least, most = cast(int, whole.min()), cast(int, whole.max())
            moments_so_far = [least, most, *(self._range or ())]
            self._range = min(moments_so_far), max(moments_so_far)
        return whole, fractions

    def check(self) -> None:
        """Raises UserError where the column mixes kinds or units, with the first of each."""
        kinds = list(self.first)
        if len(kinds) > 1 and (not self._others or TEXTS in kinds):
            pairs = " and ".join(f"{kind} ({self.first[kind]})" for kind in kinds[:2])
            raise UserError(f"the times in {self.name} mix {pairs}; write them all in one unit")

    def words(self) -> Iterator[str]:
        """What the times were taken for."""
        if self._range is None:
            return
        units = [kind for kind in self.first if kind != NUMBERS]
        if len(units) != 1 or self._others:
            yield f"{self.name} holds numbers from {self._range[0]:,} to {self._range[1]:,}, taken for an order alone"
            return
        unit = units[0].removesuffix(" in texts")
        since, until = (_date(moment // UNITS[unit]) for moment in self._range)
        kept = "" if units[0] == unit else "texts, kept as "
        yield f"{self.name} holds {kept}{unit} since 1970, from {since} to {until}"
        if self._has_no_zone:
            yield "times without a zone are taken as UTC"

    def _of_texts(self, column: pl.Series, is_iso: np.ndarray, place: Place) -> tuple[pl.Series, pl.Series | None]:
        if is_iso.all() or column.null_count() == len(is_iso) - is_iso.sum():
            whole, fractions, has_no_zone = moments_of_iso(column)
        else:
            whole, fractions, has_no_zone = moments_of_iso(column.set(pl.Series(~is_iso), None))
            numbers, _ = moments(column.set(pl.Series(is_iso), None))
            self._meet_numbers(numbers, place)
            whole = whole.zip_with(whole.is_not_null(), numbers)
        self._has_no_zone |= has_no_zone
        self._meet(TEXTS, int(np.argmax(is_iso)), place, len(column))
        return whole, None if fractions is None else fractions.fill_null(0.0)

    def _meet(self, kind: str, row: int, place: Place, num_rows: int) -> None:
        if num_rows and kind not in self.first:
            self.first[kind] = place(row)

    def _meet_numbers(self, whole: pl.Series, place: Place) -> None:
        least, most = whole.min(), whole.max()
        if least is None:
            return
        for unit, factor in UNITS.items():
            if EARLIEST * factor <= least and most < LATEST * factor:  # type: ignore[operator]
                self._meet(unit, 0, place, len(whole))
                return
        numbers = whole.fill_null(least).to_numpy()
        num_known = 0
        for unit, factor in UNITS.items():
            is_unit = (numbers >= EARLIEST * factor) & (numbers < LATEST * factor)
            num_known += int(np.count_nonzero(is_unit))
            if is_unit.any():
                self._meet(unit, int(np.argmax(is_unit)), place, len(whole))
        if num_known < len(numbers):
            self._others = True
            self._meet(NUMBERS, 0, place, len(whole))


def _date(seconds: int) -> str:
    try:
        return str(np.datetime64(seconds, "s").astype("datetime64[D]"))
    except (OverflowError, ValueError):
        return f"second {seconds:,}"
