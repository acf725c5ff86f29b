"""A modality in a table: an item id column, and a column of vectors, of token lists, of categories or of labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.readers.lists import Convert, ListColumn
from dualgnn_dist.data.prepare.formats.readers.words import word_lists, word_tokens
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import Place, RawModality
from dualgnn_dist.data.prepare.reading import refuse_first, require_columns
from dualgnn_dist.data.prepare.tabular.rows import Rows

SAMPLE = 1 << 14  # rows that say what a column of texts holds
FEW = 50  # values of which more than half may differ without being running text
RAW_CONTENT = "no model reads text: make vectors of it first, see docs/raw-content.md"
ToLists = Callable[["pl.Series", Place], "pl.Series"]


@dataclass(frozen=True)
class _Kind:
    """What a column holds.

    Args:
        of: `vectors`, `tokens` (word ids) or `words`.
        lists: the values of a block as lists; null where an item misses them.
    """

    of: str
    lists: ToLists


def column_modality(
    rows: Rows,
    item_column: str,
    ids: Convert,
    *,
    column: str | None = None,
    separator: str | None = None,
) -> RawModality:
    """Reads a column of a table.

    Lists of floats, and JSON lists of them in texts, are vectors; floats are vectors of one number. Lists of whole
    numbers are word ids. Texts, lists of them, whole numbers and booleans are words, a word's id being its rank among
    the words that occur. Null is missing.

    Args:
        ids: checks and converts the id column of a block.
        column: its name; None: the only one beside `item_column`.
        separator: between the words of a text.

    Raises:
        UserError: a missing column, one of another type, or one of running text.
    """
    require_columns(rows.path, rows.columns, [item_column, *([] if column is None else [column])])
    column = column or _only_other(rows, item_column)
    kind = _kind_of(rows, column, separator)

    def blocks(num_rows: int) -> Iterator[tuple[pl.DataFrame, Place]]:
        for block, place in rows.blocks({"items": item_column, "values": column}, num_rows):
            yield block.select("items", lists=kind.lists(block["values"], place)), place

    list_column = ListColumn(
        rows=blocks,
        path=rows.path,
        column=column,
        ids=ids,
        only_items=lambda num_rows: rows.blocks({"items": item_column}, num_rows),
    )
    if kind.of == "vectors":
        return list_column.dense()
    return list_column.tokens() if kind.of == "tokens" else word_tokens(list_column)


def _only_other(rows: Rows, item_column: str) -> str:
    others = [name for name in rows.columns if name != item_column]
    if len(others) != 1:
        raise UserError(
            f"{rows.path} has several columns beside {item_column!r}: {', '.join(others[:20]) or 'none'}; name one, as "
            "prepare.modalities={NAME: {file: FILE, column: COLUMN}}"
        )
    return others[0]


def _kind_of(rows: Rows, column: str, separator: str | None) -> _Kind:
    block, _ = next(iter(rows.blocks({"values": column}, SAMPLE)), (None, None))
    if block is None:
        raise UserError(f"{rows.path} has no rows")
    values, dtype = block["values"], block["values"].dtype
    if separator is not None:
        if dtype != pl.String:
            raise UserError(f"{rows.path}: only texts have a separator, the column {column!r} holds {dtype}")
        return _Kind("words", lambda texts, place: _cut(texts, separator))
    if isinstance(dtype, (pl.List, pl.Array)):
        return _of_lists(rows, column, dtype.inner)
    if dtype.is_float() or (dtype == pl.String and _are_floats(values)):
        return _Kind("vectors", lambda numbers, place: _single(_floats(numbers, column, place)))
    if dtype == pl.String and values.str.starts_with("[").any():
        return _of_json(values)
    if dtype == pl.String or dtype in (pl.Categorical, pl.Enum, pl.Boolean) or dtype.is_integer():
        if dtype == pl.String:
            _refuse_running_text(rows, column, values)
        return _Kind("words", lambda texts, place: _single(texts.cast(pl.String)))
    raise UserError(f"{rows.path}: the column {column!r} holds {dtype}, which is no vector, category or list of them")


def _of_lists(rows: Rows, column: str, inner: Any) -> _Kind:
    if inner == pl.String:
        return _Kind("words", lambda lists, place: _without_nulls(lists.cast(pl.List(pl.String))))
    if not inner.is_numeric():
        raise UserError(f"{rows.path}: the column {column!r} must hold lists of numbers or texts, not of {inner}")
    return _Kind("vectors" if inner.is_float() else "tokens", lambda lists, place: lists.cast(pl.List(inner)))


def _of_json(sample: pl.Series) -> _Kind:
    """Lists written as texts: of numbers with a point or an exponent, of whole numbers, or of texts."""
    lists = sample.filter(sample.str.starts_with("[").fill_null(False))
    if lists.str.contains('"').any():
        return _Kind("words", word_lists)
    is_float = lists.str.contains(r"[.eE]").any()
    return _Kind("vectors" if is_float else "tokens", _numbers_of_json(pl.Float64 if is_float else pl.Int64))


def _numbers_of_json(dtype: Any) -> ToLists:
    def lists(texts: pl.Series, place: Place) -> pl.Series:
        try:
            return texts.str.json_decode(pl.List(dtype))
        except pl.exceptions.PolarsError:
            for row, text in enumerate(texts):
                try:
                    pl.Series([text], dtype=pl.String).str.json_decode(pl.List(dtype))
                except pl.exceptions.PolarsError as error:
                    raise UserError(f"{place(row)}: {str(text)[:60]!r} is no JSON list of numbers") from error
            raise

    return lists


def _are_floats(texts: pl.Series) -> bool:
    """Whether texts are numbers, of which one is no whole one."""
    known = texts.drop_nulls()
    if not len(known) or known.cast(pl.Float64, strict=False).has_nulls():
        return False
    return known.cast(pl.Int64, strict=False).has_nulls()


def _floats(column: pl.Series, name: str, place: Place) -> pl.Series:
    numbers = column.cast(pl.Float64, strict=False)
    wrong = numbers.is_null() & column.is_not_null()
    refuse_first(wrong, place, lambda row: f"{name} {column[row]!r} is not a number")
    return numbers


def _single(column: pl.Series) -> pl.Series:
    """Every value as a list of its own, null where there is none."""
    value = pl.col("value")
    lists = column.to_frame("value").select(pl.when(value.is_not_null()).then(pl.concat_list(value)).otherwise(None))
    return lists.to_series()


def _cut(texts: pl.Series, separator: str) -> pl.Series:
    words = texts.str.split(separator).list.eval(pl.element().str.strip_chars())
    return _without_nulls(words.list.eval(pl.element().filter(pl.element() != "")))


def _without_nulls(lists: pl.Series) -> pl.Series:
    """Lists of words; null where there is no word."""
    words = pl.col("lists").list.drop_nulls()
    return lists.to_frame("lists").select(pl.when(words.list.len() > 0).then(words)).to_series()


def _refuse_running_text(rows: Rows, column: str, values: pl.Series) -> None:
    texts = values.drop_nulls()
    if len(texts) >= FEW and texts.n_unique() > len(texts) / 2:
        raise UserError(
            f"{rows.path}: of {len(texts):,} values of the column {column!r} {texts.n_unique():,} differ (such as "
            f"{texts[0][:40]!r}), so they are no categories. If they are text, {RAW_CONTENT}; if they are labels with "
            "a sign between them, name it as {file: FILE, column: COLUMN, separator: '|'}"
        )
