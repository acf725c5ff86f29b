"""An expression over a file's columns, in the words of SQL: which rows are interactions, and what a row weighs.

A value of one row decides about that row alone: what sums, counts or looks at other rows is refused, since the rows
come in blocks. No function reads a file or another table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dualgnn_dist.base.errors import UserError, nearest
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import Place
from dualgnn_dist.data.prepare.reading import refuse_first
from dualgnn_dist.data.prepare.tabular.rows import Rows

SAMPLE = 100_000  # rows that say of a text column whether it holds numbers
OF_ONE_ROW = ("StringExpr", "Boolean", "TemporalExpr", "Abs", "Round", "Floor", "Ceil", "Coalesce", "Negate")
OF_SEVERAL_ROWS = ("Any", "All", "IsUnique", "IsDuplicated", "IsFirstDistinct", "IsLastDistinct")


def parsed(text: str, option: str) -> pl.Expr:
    """The expression. Raises ValueError where it is none, or looks at more than one row."""
    try:
        expression = pl.sql_expr(text)
        tree = json.loads(expression.meta.serialize(format="json"))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError) as error:
        words = " ".join(str(error).split())[:200]
        raise ValueError(f"{option}={text!r} is no expression over columns, as `event = 'like'`: {words}") from error
    unknown = next(_of_other_rows(tree), None)
    if unknown is not None:
        raise ValueError(f"{option}={text!r}: {unknown} is not allowed: a row must be decided by its own values")
    if not expression.meta.root_names():
        raise ValueError(f"{option}={text!r} names no column")
    return expression


def _of_other_rows(node: Any) -> Iterator[str]:
    """What in an expression does not go by one row."""
    kind, body = next(iter(node.items())) if isinstance(node, dict) else (str(node), {})
    if kind == "BinaryExpr":
        yield from (name for side in ("left", "right") for name in _of_other_rows(body[side]))
    elif kind == "Ternary":
        yield from (name for side in ("predicate", "truthy", "falsy") for name in _of_other_rows(body[side]))
    elif kind in ("Cast", "Alias"):
        yield from _of_other_rows(body["expr"] if kind == "Cast" else body[0])
    elif kind == "Function":
        of, name = body["function"], None
        if isinstance(of, dict):
            of, name = next(iter(of.items()))
        if of not in OF_ONE_ROW or (isinstance(name, str) and name in OF_SEVERAL_ROWS):
            yield f"{of} {name or ''}".strip()
        yield from (other for below in body["input"] for other in _of_other_rows(below))
    elif kind not in ("Column", "Literal"):
        yield kind


@dataclass(frozen=True)
class Expression:
    """An expression that fits a file.

    Args:
        option: its name in messages.
        names: the columns that it reads.
        numbers: those of a text file that hold numbers, with the type that they are read as.
        dtype: what it gives.
    """

    option: str
    text: str
    names: tuple[str, ...]
    numbers: dict[str, Any]
    dtype: Any

    @classmethod
    def of(cls, rows: Rows, option: str, text: str, dtype: Any) -> Expression:
        """Fits an expression to a file by its first rows.

        Raises:
            UserError: a column is missing, or the expression gives something else than `dtype` (numbers for Float64).
        """
        expression = parsed(text, option)
        names = tuple(dict.fromkeys(expression.meta.root_names()))
        for name in names:
            if name not in rows.columns:
                raise UserError(f"{option}={text!r}: {rows.path} has no column {name!r}{nearest(name, rows.columns)}")
        sample = next((block for block, _ in rows.blocks({name: name for name in names}, SAMPLE)), None)
        numbers = {} if sample is None else {name: kind for name in names if (kind := _number_type(sample[name]))}
        fitted = cls(option, text, names, numbers, dtype)
        if sample is not None:
            fitted.values(sample, lambda row: f"{rows.path}, row {row} of the first")
        return fitted

    def values(self, block: pl.DataFrame, place: Place) -> pl.Series:
        """What it gives for every row of a block that has its columns under their own names; null where one is."""
        columns = {name: block[name] for name in self.names}
        for name, kind in self.numbers.items():
            columns[name] = _numbers(block[name], kind, f"{self.option} reads {name} as a number", place)
        frame = pl.DataFrame(columns)
        try:
            values = frame.select(pl.sql_expr(self.text).alias("value")).to_series()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            words = " ".join(str(error).split())[:200]
            types = ", ".join(f"{name} holds {dtype}" for name, dtype in frame.schema.items())
            raise UserError(f"{self.option}={self.text!r} cannot be computed ({types}): {words}") from error
        if len(values) == 1 < len(block):
            values = values.new_from_index(0, len(block))
        fits = values.dtype == pl.Boolean if self.dtype == pl.Boolean else values.dtype.is_numeric()
        if not fits and values.dtype != pl.Null:
            what = "true or false" if self.dtype == pl.Boolean else "numbers"
            raise UserError(f"{self.option}={self.text!r} must give {what}, it gives {values.dtype}")
        return values.cast(self.dtype)


def _number_type(column: pl.Series) -> Any:
    """Int64 or Float64 where texts are numbers; None for other columns."""
    if column.dtype != pl.String or column.null_count() == len(column):
        return None
    for kind in (pl.Int64, pl.Float64):
        if column.cast(kind, strict=False).null_count() == column.null_count():
            return kind
    return None


def _numbers(column: pl.Series, kind: Any, what: str, place: Place) -> pl.Series:
    numbers = column.cast(kind, strict=False)
    wrong = numbers.is_null() & column.is_not_null()
    if kind == pl.Int64 and wrong.any():
        numbers = column.cast(pl.Float64, strict=False)
        wrong = numbers.is_null() & column.is_not_null()
    refuse_first(wrong, place, lambda row: f"{what}, as its first rows do, but here stands {column[row]!r}")
    return numbers
