"""An expression over a file's columns, in the words of SQL: which rows are interactions, and what a row weighs.

A value of one row decides about that row alone: what sums, counts or looks at other rows is refused, since the rows
come in blocks. No function reads a file or another table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from dualgnn_dist.base.errors import UserError, nearest
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import Place
from dualgnn_dist.data.prepare.reading import numbered, refuse_first
from dualgnn_dist.data.prepare.tabular.rows import Rows

SAMPLE = 100_000  # rows that say of a text column whether it holds numbers
MAX_COLUMNS_TRIED = 6
OF_ONE_ROW = (
    *("StringExpr", "Boolean", "TemporalExpr", "Sql", "MinHorizontal", "MaxHorizontal", "Coalesce"),
    *("Abs", "Round", "Floor", "Ceil", "Sign", "Negate", "Pow"),
)
OF_SEVERAL_ROWS = ("Any", "All", "IsUnique", "IsDuplicated", "IsFirstDistinct", "IsLastDistinct", "ConcatVertical")


def parsed(text: str, option: str) -> pl.Expr:
    """The expression. Raises ValueError where it is none, or looks at more than one row."""
    try:
        expression = pl.sql_expr(text)
        tree = json.loads(expression.meta.serialize(format="json"))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError) as error:
        words = " ".join(str(error).split())[:200]
        cure = "; write a name with a dot between double quotes" if "dot-notation" in words else ""
        raise ValueError(
            f"{option}={text!r} is no expression over columns, as `event = 'like'`: {words}{cure}"
        ) from error
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
        types: those of a text file that are read as something else, with what they are read as.
        dtype: what it gives.
    """

    option: str
    text: str
    names: tuple[str, ...]
    types: dict[str, Any]
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
                cure = f"; a text stands between single quotes, as '{name}'" if f'"{name}"' in text else ""
                hint = cure or nearest(name, rows.columns)
                raise UserError(f"{option}={text!r}: {rows.path} has no column {name!r}{hint}")
        sample = next((block for block, _ in rows.blocks({name: name for name in names}, SAMPLE)), None)
        if sample is None:
            return cls(option, text, names, {}, dtype)
        place = numbered(rows.path, "row")
        types = {name: kind for name in names if (kind := _type_of_texts(sample[name]))}
        fitted = cls(option, text, names, types, dtype)
        try:
            fitted.values(sample, place)
        except UserError:  # a text of digits that is compared with texts is one
            for chosen in _choices(types):
                with suppress(UserError):
                    other = cls(option, text, names, chosen, dtype)
                    other.values(sample, place)
                    return other
            raise
        return fitted

    def values(self, block: pl.DataFrame, place: Place) -> pl.Series:
        """What it gives for every row of a block that has its columns under their own names; null where one is."""
        columns = {name: _without_zone(block[name]) for name in self.names}
        for name, kind in self.types.items():
            columns[name] = _read(block[name], kind, f"{self.option} reads {name} as {kind}", place)
        frame = pl.DataFrame(columns)
        try:
            values = frame.select(pl.sql_expr(self.text).alias("value")).to_series()
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise UserError(f"{self.option}={self.text!r} cannot be computed {_why(error, frame)}") from error
        if len(values) == 1 < len(block):
            values = values.new_from_index(0, len(block))
        fits = values.dtype == pl.Boolean if self.dtype == pl.Boolean else values.dtype.is_numeric()
        if not fits and values.dtype != pl.Null:
            what = "true or false" if self.dtype == pl.Boolean else "numbers"
            raise UserError(f"{self.option}={self.text!r} must give {what}, it gives {values.dtype}")
        return values.cast(self.dtype)


def _why(error: BaseException, frame: pl.DataFrame) -> str:
    types = ", ".join(f"{name} holds {dtype}" for name, dtype in frame.schema.items())
    words = " ".join(str(error).partition("(create native")[0].split())[:200]
    cure = "; write timestamp '2024-03-01 12:00:00'" if "date/datetime/time" in words else ""
    return f"({types}): {words}{cure}"


def _without_zone(column: pl.Series) -> pl.Series:
    """Moments of a zone as those of UTC, which expressions can name."""
    if isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is not None:
        return column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return column


def _choices(types: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Fewer and fewer of the types, so that as many numbers as possible stay numbers; of very many, none."""
    for size in range(len(types) - 1 if len(types) <= MAX_COLUMNS_TRIED else 0, -1, -1):
        yield from (dict(chosen) for chosen in combinations(types.items(), size))


def _type_of_texts(column: pl.Series) -> Any:
    """Int64, Float64 or Boolean where texts hold them; None for other columns."""
    if column.dtype != pl.String or column.null_count() == len(column):
        return None
    for kind in (pl.Int64, pl.Float64, pl.Boolean):
        if _cast(column, kind).null_count() == column.null_count():
            return kind
    return None


def _cast(column: pl.Series, kind: Any) -> pl.Series:
    if kind != pl.Boolean:
        return column.cast(kind, strict=False)
    words = {"true": True, "false": False}
    return column.str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)


def _read(column: pl.Series, kind: Any, what: str, place: Place) -> pl.Series:
    values = _cast(column, kind)
    wrong = values.is_null() & column.is_not_null()
    if kind == pl.Int64 and wrong.any():
        values = _cast(column, pl.Float64)
        wrong = values.is_null() & column.is_not_null()
    refuse_first(wrong, place, lambda row: f"{what}, as its first rows do, but here stands {column[row]!r}")
    return values
