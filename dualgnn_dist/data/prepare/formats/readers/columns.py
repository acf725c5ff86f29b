"""Interactions in named columns, which several formats have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from dualgnn_dist.data.prepare.formats.readers.times import moments
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import BLOCK_ROWS, SPLIT_CODES, Place
from dualgnn_dist.data.prepare.reading import EMPTY, refuse_first, require_columns, row_numbers
from dualgnn_dist.data.prepare.tabular.rows import Rows

IdType = Literal["integer", "text"]


@dataclass(frozen=True)
class Ids:
    """How a format reads its ids.

    Args:
        type: `integer`: whole numbers of at least 0, as Int64; `text`: as they are written, String.
        cure: what to do where integers are expected and something else stands.
    """

    type: IdType
    cure: str = "; for ids that are texts set prepare.options.id_type to text"

    def read(self, column: pl.Series, name: str, place: Place) -> pl.Series:
        """`column` as ids. Raises UserError for a value that is none."""
        if self.type == "text":
            return _no_nulls(column.cast(pl.String), column, name, "an id", place)
        return row_numbers(column, name, place, self.cure)


@dataclass(frozen=True, kw_only=True)
class ColumnNames:
    """The names of the columns in the file; None for one that is not read.

    Args:
        split: holds train, valid, test or 0, 1, 2.
        min_rating: interactions rated lower are not kept; None keeps all, needs no `rating`.
    """

    user: str
    item: str
    timestamp: str | None = None
    rating: str | None = None
    split: str | None = None
    min_rating: float | None = None
    ids: Ids

    @property
    def in_file(self) -> dict[str, str]:
        """The columns that are read: what each is -> its name in the file."""
        names = {name: getattr(self, name) for name in ("user", "item", "timestamp", "rating", "split")}
        return {name: in_file for name, in_file in names.items() if in_file is not None}


def read_columns(rows: Rows, columns: ColumnNames) -> Callable[[], Iterator[pl.DataFrame]]:
    """The `blocks` of a `RawData` from a file's rows.

    Raises:
        UserError: a column is missing; while the blocks are read, a value is not what it must be.
    """
    require_columns(rows.path, rows.columns, columns.in_file.values())

    def blocks() -> Iterator[pl.DataFrame]:
        for block, place in rows.blocks(columns.in_file, BLOCK_ROWS):
            yield checked(block, columns, place)

    return blocks


def no_times(rows: Rows, columns: ColumnNames) -> str | None:
    """Why a file's rows have no times, and how a column of them is named; None where one is."""
    if columns.timestamp is not None:
        return None
    names = ", ".join(rows.columns[:20])
    return f"{rows.path} has the columns {names}; name that of the times with prepare.options.timestamp_column=NAME"


def checked(block: pl.DataFrame, columns: ColumnNames, place: Place) -> pl.DataFrame:
    """A block with the columns `user`, `item`, ... as they stand in the file -> one as `RawData` has it."""
    series = {
        "user": columns.ids.read(block["user"], columns.user, place),
        "item": columns.ids.read(block["item"], columns.item, place),
    }
    if columns.timestamp is not None:
        times, fractions = moments(block["timestamp"])
        what = "a number or a time, or too far away"
        series["timestamp"] = _no_nulls(times, block["timestamp"], columns.timestamp, what, place)
        if fractions is not None:
            series["fraction"] = fractions
    if columns.rating is not None and columns.min_rating is not None:
        ratings = block["rating"].cast(pl.Float64, strict=False).fill_nan(None)
        series["kept"] = _no_nulls(ratings, block["rating"], columns.rating, "a number", place) >= columns.min_rating
    if columns.split is not None:
        labels = {**SPLIT_CODES, **{str(code): code for code in SPLIT_CODES.values()}}
        codes = block["split"].cast(pl.String).replace_strict(labels, default=None, return_dtype=pl.Int8)
        series["split"] = _no_nulls(codes, block["split"], columns.split, f"one of {', '.join(labels)}", place)
    return pl.DataFrame(series)


def _no_nulls(values: pl.Series, raw: pl.Series, name: str, what: str, place: Place) -> pl.Series:
    def say(row: int) -> str:
        return EMPTY.format(name) if raw[row] is None else f"{name} {raw[row]!r} is not {what}"

    refuse_first(values.is_null(), place, say)
    return values
