"""Interactions in named columns, and modalities in files of their own beside them: what several formats share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.readers.parquet import parquet_modality
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import BLOCK_ROWS, SPLIT_CODES, RawModality
from dualgnn_dist.data.prepare.reading import (
    array_modality,
    batches,
    columns_of,
    existing,
    npy_array,
    numbered,
    refuse_first,
    require_columns,
    row_numbers,
)

IdType = Literal["integer", "text"]
Place = Callable[[int], str]


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


def read_columns(
    frame: pl.LazyFrame, path: Path, columns: ColumnNames, unit: str, first: int
) -> Callable[[], Iterator[pl.DataFrame]]:
    """The `blocks` of a `RawData` from a file's rows.

    Args:
        unit, first: what a row is called in messages, and the number of the first.

    Raises:
        UserError: a column is missing; while the blocks are read, a value is not what it must be.
    """
    require_columns(path, columns_of(frame, path).names(), columns.in_file.values())
    wanted = frame.select(**columns.in_file)

    def blocks() -> Iterator[pl.DataFrame]:
        row = first
        for block in batches(wanted, path, BLOCK_ROWS):
            yield checked(block, columns, numbered(path, unit, row))
            row += len(block)

    return blocks


def checked(block: pl.DataFrame, columns: ColumnNames, place: Place) -> pl.DataFrame:
    """A block with the columns `user`, `item`, ... as they stand in the file -> one as `RawData` has it."""
    series = {
        "user": columns.ids.read(block["user"], columns.user, place),
        "item": columns.ids.read(block["item"], columns.item, place),
    }
    if columns.timestamp is not None:
        column = block["timestamp"]
        times = column.cast(pl.Int64, strict=False)
        if column.dtype == pl.String:  # whole numbers exactly, others rounded down
            times = times.fill_null(column.cast(pl.Float64, strict=False).floor().cast(pl.Int64, strict=False))
        series["timestamp"] = _no_nulls(times, column, columns.timestamp, "a number or a time", place)
    if columns.rating is not None and columns.min_rating is not None:
        ratings = block["rating"].cast(pl.Float64, strict=False).fill_nan(None)
        series["kept"] = _no_nulls(ratings, block["rating"], columns.rating, "a number", place) >= columns.min_rating
    if columns.split is not None:
        labels = {**SPLIT_CODES, **{str(code): code for code in SPLIT_CODES.values()}}
        codes = block["split"].cast(pl.String).replace_strict(labels, default=None, return_dtype=pl.Int8)
        series["split"] = _no_nulls(codes, block["split"], columns.split, f"one of {', '.join(labels)}", place)
    return pl.DataFrame(series)


def _no_nulls(values: pl.Series, raw: pl.Series, name: str, what: str, place: Place) -> pl.Series:
    refuse_first(values.is_null(), place, lambda row: f"{name} {raw[row]!r} is not {what}")
    return values


@dataclass(frozen=True, kw_only=True)
class FeatureFiles:
    """Modalities in `.npy` and Parquet files of one folder.

    Args:
        files: modality -> file.
        item_id_files: modality -> file with the item id of every `.npy` row: integers in `.npy`, or one id a line.
        item_column: of the Parquet files.
        by_row: row numbers of a `.npy` without such a file are item ids.
        may_name_others: as of `RawModality`.
    """

    folder: Path
    files: Mapping[str, str]
    item_id_files: Mapping[str, str]
    item_column: str
    ids: Ids
    by_row: bool
    may_name_others: bool = False

    @property
    def sources(self) -> tuple[Path, ...]:
        """All files that are read."""
        return tuple(self.folder / file for file in [*self.files.values(), *self.item_id_files.values()])

    def read(self) -> dict[str, RawModality]:
        """Modality -> its values. Raises UserError for files that are missing or not what they must be."""
        unknown = [name for name in self.item_id_files if not self.files.get(name, "").endswith(".npy")]
        if unknown:
            raise UserError(f"prepare.options.item_id_files names {unknown[0]!r}, which is no .npy modality")
        return {name: self._modality(name, existing(self.folder / file)) for name, file in self.files.items()}

    def _modality(self, name: str, path: Path) -> RawModality:
        if path.suffix == ".parquet":
            return parquet_modality(
                path,
                self.item_column,
                lambda column, place: self.ids.read(column, self.item_column, place),
                self.may_name_others,
            )
        if path.suffix != ".npy":
            raise UserError(f"modality {name!r}: {path} must be a .npy or .parquet file")
        if name in self.item_id_files:
            items = self._item_ids(existing(self.folder / self.item_id_files[name]))
            modality = array_modality(path, npy_array(path), items)
            return dataclasses.replace(modality, may_name_others=self.may_name_others)
        if not self.by_row:
            raise UserError(
                f"modality {name!r}: {path} says nothing of its rows' items; set prepare.options.item_id_files"
            )
        if self.ids.type == "text":
            raise UserError(
                f"modality {name!r}: {path} is keyed by row, ids are texts; set prepare.options.item_id_files"
            )
        return array_modality(path, npy_array(path))

    def _item_ids(self, path: Path) -> pl.Series:
        if path.suffix == ".npy":
            array = npy_array(path)
            if array.ndim != 1 or array.dtype.kind not in "iu":
                raise UserError(
                    f"{path} must hold whole numbers of shape [rows], not {array.dtype} {list(array.shape)}"
                )
            return self.ids.read(pl.Series(array), "item id", numbered(path, "row"))
        lines = pl.Series(path.read_text().splitlines(), dtype=pl.String)
        return self.ids.read(lines, "item id", numbered(path, "line", 1))
