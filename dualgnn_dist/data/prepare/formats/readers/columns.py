"""Interactions in named columns, which several formats have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from dualgnn_dist.data.prepare.formats.readers.clock import Clock
from dualgnn_dist.data.prepare.formats.readers.expression import Expression
from dualgnn_dist.data.prepare.formats.readers.nulls import Nulls, Presence
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import BLOCK_ROWS, SPLIT_CODES, Place, Tally
from dualgnn_dist.data.prepare.reading import EMPTY, chosen_rows, refuse_first, require_columns, row_numbers
from dualgnn_dist.data.prepare.tabular.rows import Rows

IdType = Literal["integer", "text"]
READ = "read "  # before the names of columns that an expression reads


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
            return _no_nulls(_texts(column), column, name, "an id", place)
        return row_numbers(column, name, place, self.cure)


@dataclass(frozen=True, kw_only=True)
class ColumnNames:
    """The names of the columns in the file; None for one that is not read.

    Args:
        split: holds train, valid, test or 0, 1, 2.
        min_rating: interactions rated lower are not kept; None keeps all, needs no `rating`.
        nulls: whether a row without one of these values is refused or left out; None: refused, and the format has no
            option for it.
        where: an expression; rows for which it is not true are left out.
        weight: an expression; rows that weigh nothing are left out.
    """

    user: str
    item: str
    timestamp: str | None = None
    rating: str | None = None
    split: str | None = None
    min_rating: float | None = None
    nulls: Nulls | None = None
    where: str | None = None
    weight: str | None = None
    ids: Ids

    @property
    def in_file(self) -> dict[str, str]:
        """The columns that are read: what each is -> its name in the file."""
        names = {name: getattr(self, name) for name in ("user", "item", "timestamp", "rating", "split")}
        return {name: in_file for name, in_file in names.items() if in_file is not None}


def read_columns(rows: Rows, columns: ColumnNames, tally: Tally) -> Callable[[], Iterator[pl.DataFrame]]:
    """The `blocks` of a `RawData` from a file's rows.

    Args:
        tally: is told what every reading meets.

    Raises:
        UserError: a column is missing, or an expression does not fit; while the blocks are read, a value is not what
            it must be; after the last, times mix units, or values are missing and must not be.
    """
    require_columns(rows.path, rows.columns, columns.in_file.values())
    expressions = {
        name: Expression.of(rows, f"prepare.options.{name}", text, dtype)
        for name, text, dtype in (("where", columns.where, pl.Boolean), ("weight", columns.weight, pl.Float64))
        if text is not None
    }
    names = {f"{READ}{name}": name for each in expressions.values() for name in each.names} | columns.in_file

    def blocks() -> Iterator[pl.DataFrame]:
        tally.clear()
        clock = Clock(columns.timestamp or "")
        presence = Presence(columns.nulls, columns.in_file)
        for block, place in rows.blocks(names, BLOCK_ROWS):
            block, place = _chosen(block, place, expressions, tally)
            block, place = presence.of(block, place)
            yield checked(block, columns, place, clock)
        tally.left_out["nulls"] = presence.num_rows
        presence.check(rows.path)
        clock.check()
        tally.notes += clock.words()

    return blocks


def _chosen(
    block: pl.DataFrame, place: Place, expressions: Mapping[str, Expression], tally: Tally
) -> tuple[pl.DataFrame, Place]:
    """The rows that the expressions choose, with a column `weight` where one is told."""
    if not expressions:
        return block, place
    own = block.select(pl.col(f"^{READ}.*$").name.map(lambda name: name.removeprefix(READ)))
    block = block.select(pl.exclude(f"^{READ}.*$"))
    values = {name: expression.values(own, place) for name, expression in expressions.items()}
    if "where" in values:
        chosen = values["where"].fill_null(False)
        tally.left_out["where"] += len(chosen) - int(chosen.sum())
    else:
        chosen = pl.repeat(True, len(block), eager=True)
    if "weight" in values:
        weighs = values["weight"].fill_nan(None).fill_null(0.0) > 0
        tally.left_out["no_weight"] += int((chosen & ~weighs).sum())
        chosen, block = chosen & weighs, block.with_columns(values["weight"].alias("weight"))
    return chosen_rows(block, chosen, place)


def no_times(rows: Rows, columns: ColumnNames) -> str | None:
    """Why a file's rows have no times, and how a column of them is named; None where one is."""
    if columns.timestamp is not None:
        return None
    names = ", ".join(rows.columns[:20])
    return f"{rows.path} has the columns {names}; name that of the times with prepare.options.timestamp_column=NAME"


def checked(block: pl.DataFrame, columns: ColumnNames, place: Place, clock: Clock) -> pl.DataFrame:
    """A block with the columns `user`, `item`, ... as they stand in the file -> one as `RawData` has it."""
    series = {
        "user": columns.ids.read(block["user"], columns.user, place),
        "item": columns.ids.read(block["item"], columns.item, place),
    }
    if columns.timestamp is not None:
        times, fractions = clock.read(block["timestamp"], place)
        what = "a moment as 2024-05-01T10:00:00Z or a number, or too far away"
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
    if "weight" in block.columns:
        series["weight"] = block["weight"]
    return pl.DataFrame(series)


def _texts(column: pl.Series) -> pl.Series:
    """Ids as texts: 7.0, which is what becomes of a 7 beside a missing value in some programs, is 7."""
    texts = column.cast(pl.String)
    if not column.dtype.is_float():
        return texts
    whole = column.cast(pl.Int64, strict=False)
    return whole.cast(pl.String).zip_with((whole.cast(column.dtype) == column).fill_null(False), texts)


def _no_nulls(values: pl.Series, raw: pl.Series, name: str, what: str, place: Place) -> pl.Series:
    def say(row: int) -> str:
        return EMPTY.format(name) if raw[row] is None else f"{name} {raw[row]!r} is not {what}"

    refuse_first(values.is_null(), place, say)
    return values
