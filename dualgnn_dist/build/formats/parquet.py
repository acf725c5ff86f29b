"""A modality in a Parquet file: an item id column and a column of vectors or of token lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from dualgnn_dist.build.raw import FeatureBlock, RawModality, TokenLists, batches, columns_of, refuse_first, row_numbers
from dualgnn_dist.strict import UserError, nearest

BLOCK_ITEMS = 1 << 15
MAX_TOKENS = 1 << 31
Place = Callable[[int], str]


def parquet_modality(path: Path, item_column: str, ids: Callable[[pl.Series, Place], pl.Series]) -> RawModality:
    """Reads the column beside `item_column`: lists of floats are dense, lists of whole numbers tokens, null is missing.

    Args:
        ids: checks and converts the id column of a block.

    Raises:
        UserError: a missing column, or one of another type.
    """
    frame = pl.scan_parquet(path)
    schema = columns_of(frame, path)
    if item_column not in schema:
        raise UserError(f"{path} has no column {item_column!r}{nearest(item_column, schema.names())}")
    others = [name for name in schema.names() if name != item_column]
    if len(others) != 1:
        raise UserError(f"{path} must have one column beside {item_column!r}, it has: {', '.join(others) or 'none'}")
    column, dtype = others[0], schema[others[0]]
    inner = dtype.inner if isinstance(dtype, (pl.List, pl.Array)) else None
    if inner is None or not inner.is_numeric():
        raise UserError(f"{path}: the column {column!r} must hold lists of numbers, not {dtype}")
    lists = frame.select(items=item_column, lists=pl.col(column).cast(pl.List(inner)))
    is_dense = inner.is_float()
    dimension = _width(lists, path, column) if is_dense else 0

    def place(row: int) -> str:
        return f"{path}, row {row}"

    def blocks() -> Iterator[FeatureBlock]:
        first = 0
        for block in batches(lists, path, BLOCK_ITEMS):
            here = _shifted(place, first)
            items, present = ids(block["items"], here), block["lists"].is_not_null().to_numpy()
            values = _vectors(block["lists"], dimension, here) if is_dense else _tokens(block["lists"], here)
            yield FeatureBlock(first, items, values, present)
            first += len(block)

    kind, dtype_name = ("dense", "float32") if is_dense else ("tokens", "int32")
    return RawModality(kind, dimension, dtype_name, place, blocks)  # type: ignore[arg-type]


def _width(lists: pl.LazyFrame, path: Path, column: str) -> int:
    first = lists.filter(pl.col("lists").list.len() > 0).head(1).collect()
    if not len(first):
        raise UserError(f"{path}: the column {column!r} has no vector")
    return len(first["lists"][0])


def _vectors(lists: pl.Series, dimension: int, place: Place) -> np.ndarray:
    lengths = lists.list.len()
    wrong = (lengths != dimension).fill_null(False)
    refuse_first(wrong, place, lambda row: f"the vector has {lengths[row]} values, the first one has {dimension}")
    values = np.zeros((len(lists), dimension), dtype=np.float32)
    known = lists.drop_nulls().explode().cast(pl.Float32).to_numpy()  # a null among the numbers becomes NaN
    values[lists.is_not_null().to_numpy()] = known.reshape(-1, dimension)
    return values


def _tokens(lists: pl.Series, place: Place) -> TokenLists:
    offsets = np.zeros(len(lists) + 1, dtype=np.int64)
    np.cumsum(lists.list.len().fill_null(0).to_numpy(), out=offsets[1:])
    flat = lists.filter(lists.list.len() > 0).explode()

    def at(position: int) -> str:
        return place(int(np.searchsorted(offsets, position, side="right")) - 1)

    tokens = row_numbers(flat, "token", at)
    refuse_first(tokens >= MAX_TOKENS, at, lambda position: f"token {tokens[position]} is not below {MAX_TOKENS}")
    return TokenLists(offsets, tokens.to_numpy().astype(np.int32))


def _shifted(place: Place, first: int) -> Place:
    return lambda row: place(first + row)
