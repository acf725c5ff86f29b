"""A modality in a Parquet file: an item id column, and a column of vectors or of token lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.readers.lists import Convert, ListColumn
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import Place, RawModality
from dualgnn_dist.data.prepare.reading import require_columns
from dualgnn_dist.data.prepare.tabular.parquet import ParquetTable


def parquet_modality(path: Path, item_column: str, ids: Convert) -> RawModality:
    """Reads the column beside `item_column`: lists of floats are dense, lists of whole numbers tokens, null is missing.

    Args:
        ids: checks and converts the id column of a block.

    Raises:
        UserError: a missing column, or one of another type.
    """
    table = ParquetTable(path)
    schema = table.schema
    require_columns(path, schema.names(), [item_column])
    others = [name for name in schema.names() if name != item_column]
    if len(others) != 1:
        raise UserError(f"{path} must have one column beside {item_column!r}, it has: {', '.join(others) or 'none'}")
    column, dtype = others[0], schema[others[0]]
    inner = dtype.inner if isinstance(dtype, (pl.List, pl.Array)) else None
    if inner is None or not inner.is_numeric():
        raise UserError(f"{path}: the column {column!r} must hold lists of numbers, not {dtype}")
    list_column = ListColumn(
        rows=lambda num_rows: _lists(table, {"items": item_column, "lists": column}, pl.List(inner), num_rows),
        path=path,
        column=column,
        ids=ids,
        only_items=lambda num_rows: table.blocks({"items": item_column}, num_rows),
    )
    return list_column.dense() if inner.is_float() else list_column.tokens()


def _lists(
    table: ParquetTable, names: Mapping[str, str], dtype: pl.List, num_rows: int
) -> Iterator[tuple[pl.DataFrame, Place]]:
    for block, place in table.blocks(names, num_rows):
        yield block.with_columns(pl.col("lists").cast(dtype)), place
