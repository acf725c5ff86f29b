"""`table`: a CSV, TSV or Parquet file of interactions with named columns, and a `.npy` or Parquet file a modality.

Ids are any whole numbers or texts; rows are numbered by the store. A Parquet modality has an item id column and a
column of vectors (lists of floats) or of tokens (lists of whole numbers), null where the item misses it. A `.npy`
modality is keyed by row number, or by the ids in a file beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from dualgnn_dist.build.formats.parquet import parquet_modality
from dualgnn_dist.build.raw import (
    BLOCK_ROWS,
    SPLIT_CODES,
    RawData,
    RawModality,
    batches,
    columns_of,
    existing,
    npy_modality,
    refuse_first,
    row_numbers,
)
from dualgnn_dist.strict import UserError, nearest

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t", ".inter": "\t"}


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """The columns of the interactions, and where a modality's ids are.

    Args:
        id_type: `integer` ids are checked and stored as int64, `text` ids as they are written.
        split_column: holds train, valid, test or 0, 1, 2.
        min_rating: interactions rated lower are left out; needs `rating_column`.
        separator: of a text file; None goes by its ending.
        feature_item_column: the item id column of Parquet modalities; None: as `item_column`.
        item_id_files: modality -> file with the item id of every `.npy` row: integers in `.npy`, or one id a line.
    """

    user_column: str = "user"
    item_column: str = "item"
    timestamp_column: str | None = None
    rating_column: str | None = None
    min_rating: float | None = None
    split_column: str | None = None
    id_type: Literal["integer", "text"] = "integer"
    separator: str | None = None
    feature_item_column: str | None = None
    item_id_files: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.rating_column is None) != (self.min_rating is None):
            raise ValueError("rating_column and min_rating go together: set both or neither")
        if self.separator is not None and len(self.separator) != 1:
            raise ValueError(f"separator={self.separator!r} must be one character")


def read_table(input: str | None, modalities: Mapping[str, str], options: TableOptions) -> RawData:
    """See the module. Raises UserError for missing files and columns, and for values that are not what they must be."""
    if input is None:
        raise UserError("the format 'table' needs prepare.input, the file of the interactions")
    path = existing(Path(input))
    names = {
        "user": options.user_column,
        "item": options.item_column,
        "timestamp": options.timestamp_column,
        "rating": options.rating_column,
        "split": options.split_column,
    }
    frame, first_row = _scan(path, options.separator)
    columns = columns_of(frame, path).names()
    for name in names.values():
        if name is not None and name not in columns:
            raise UserError(f"{path} has no column {name!r}{nearest(name, columns)}")
    chosen = frame.select(**{name: pl.col(column) for name, column in names.items() if column is not None})
    unit = "row" if path.suffix == ".parquet" else "line"

    def blocks() -> Iterator[pl.DataFrame]:
        row = first_row
        for block in batches(chosen, path, BLOCK_ROWS):
            yield _checked(block, options, _place(path, unit, row))
            row += len(block)

    unknown = [name for name in options.item_id_files if not modalities.get(name, "").endswith(".npy")]
    if unknown:
        raise UserError(f"prepare.options.item_id_files names {unknown[0]!r}, which is no .npy modality")
    features = {name: _modality(name, path.parent, file, options) for name, file in modalities.items()}
    sources = [path.parent / file for file in [*modalities.values(), *options.item_id_files.values()]]
    return RawData(blocks, features, (path, *sources))


def _scan(path: Path, separator: str | None) -> tuple[pl.LazyFrame, int]:
    """The file as a frame, and the number of its first row in messages."""
    if path.suffix == ".parquet":
        return pl.scan_parquet(path), 0
    separator = separator or SEPARATORS.get(path.suffix)
    if separator is None:
        known = ", ".join([*SEPARATORS, ".parquet"])
        raise UserError(f"{path}: unknown ending, known are {known}; or set prepare.options.separator")
    return pl.scan_csv(path, separator=separator, infer_schema=False), 2  # the header is line 1


def _checked(block: pl.DataFrame, options: TableOptions, place: Callable[[int], str]) -> pl.DataFrame:
    columns = {
        "user": _ids(block["user"], options.user_column, options, place),
        "item": _ids(block["item"], options.item_column, options, place),
    }
    if options.timestamp_column is not None:
        column = block["timestamp"]
        times = column.cast(pl.Int64, strict=False)
        if column.dtype == pl.String:  # whole numbers exactly, others rounded down
            times = times.fill_null(column.cast(pl.Float64, strict=False).floor().cast(pl.Int64, strict=False))
        columns["timestamp"] = _no_nulls(times, column, options.timestamp_column, "a number or a time", place)
    if options.rating_column is not None:
        ratings = block["rating"].cast(pl.Float64, strict=False).fill_nan(None)
        columns["kept"] = _no_nulls(ratings, block["rating"], options.rating_column, "a number", place) >= (
            options.min_rating
        )
    if options.split_column is not None:
        labels = {**SPLIT_CODES, **{str(code): code for code in SPLIT_CODES.values()}}
        codes = block["split"].cast(pl.String).replace_strict(labels, default=None, return_dtype=pl.Int8)
        columns["split"] = _no_nulls(codes, block["split"], options.split_column, f"one of {', '.join(labels)}", place)
    return pl.DataFrame(columns)


def _ids(column: pl.Series, name: str, options: TableOptions, place: Callable[[int], str]) -> pl.Series:
    if options.id_type == "text":
        return _no_nulls(column.cast(pl.String), column, name, "an id", place)
    return row_numbers(column, name, place, "; for ids that are texts set prepare.options.id_type to text")


def _no_nulls(values: pl.Series, raw: pl.Series, name: str, what: str, place: Callable[[int], str]) -> pl.Series:
    refuse_first(values.is_null(), place, lambda row: f"{name} {raw[row]!r} is not {what}")
    return values


def _modality(name: str, folder: Path, file: str, options: TableOptions) -> RawModality:
    path = existing(folder / file)
    if path.suffix == ".parquet":
        items = options.feature_item_column or options.item_column
        return parquet_modality(path, items, lambda column, place: _ids(column, items, options, place))
    if path.suffix != ".npy":
        raise UserError(f"modality {name!r}: {path} must be a .npy or .parquet file")
    if name in options.item_id_files:
        return npy_modality(path, _item_ids(folder / options.item_id_files[name], options))
    if options.id_type == "text":
        raise UserError(f"modality {name!r}: {path} is keyed by row, ids are texts; set prepare.options.item_id_files")
    return npy_modality(path)


def _item_ids(path: Path, options: TableOptions) -> pl.Series:
    if existing(path).suffix == ".npy":
        try:
            array = np.load(path, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise UserError(f"{path} is not a .npy file of numbers ({error})") from error
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise UserError(f"{path} must hold whole numbers of shape [rows], not {array.dtype} {list(array.shape)}")
        ids, first, unit = pl.Series(array), 0, "row"
    else:
        ids, first, unit = pl.Series(path.read_text().splitlines(), dtype=pl.String), 1, "line"
    return _ids(ids, "item id", options, _place(path, unit, first))


def _place(path: Path, unit: str, first: int) -> Callable[[int], str]:
    return lambda row: f"{path}, {unit} {first + row}"
