"""`table`: a CSV, TSV, JSON lines or Parquet file of interactions; a `.npy` or Parquet file a modality.

Ids are any whole numbers or texts; rows are numbered by the store. A Parquet modality has an item id column and a
column of vectors (lists of floats) or of tokens (lists of whole numbers), null where the item misses it. A `.npy`
modality is keyed by row number, or by the ids in a file beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.readers.columns import ColumnNames, Ids, IdType, no_times, read_columns
from dualgnn_dist.data.prepare.formats.readers.expression import parsed
from dualgnn_dist.data.prepare.formats.readers.feature_files import FeatureFiles
from dualgnn_dist.data.prepare.formats.readers.nulls import Nulls
from dualgnn_dist.data.prepare.raw_data import Glob, Modalities, RawData, RawModality, Tally
from dualgnn_dist.data.prepare.reading import require_columns
from dualgnn_dist.data.prepare.tabular.opening import TextOptions, opened_input
from dualgnn_dist.data.prepare.tabular.plain import encoding_of
from dualgnn_dist.data.prepare.tabular.rows import Rows
from dualgnn_dist.data.prepare.tabular.text import Quotes


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """The columns of the interactions, and where a modality's ids are.

    Args:
        user_column: holds the user's id.
        item_column: holds the item's id.
        timestamp_column: holds when, as a number or a point in time; null: there is none.
        rating_column: holds a rating; null: there is none.
        id_type: `integer` ids are checked and stored as int64, `text` ids as they are written.
        split_column: holds train, valid, test or 0, 1, 2; null: there is none.
        min_rating: interactions rated lower are left out; needs `rating_column`.
        nulls: rows without a user, an item, a time, a rating or a split: `refuse` them all, or `drop` them, counted.
        where: an expression over columns, in SQL, as `event = 'like' and seconds > 5`; rows for which it is not true
            are left out.
        weight: an expression over columns that gives a row's weight, as `case event when 'buy' then 3 else 1 end`; rows
            that weigh nothing are left out. Needs `min_weight`.
        min_weight: a user and an item are an interaction where the weights of their rows add up to it.
        separator: of a text file; null goes by its ending.
        quotes: of a text file, whether a value between quotation marks may hold separators: `one_line`; and line
            breaks: `many_lines`; or `none`: quotation marks are text.
        encoding: of a text file.
        columns: the names of a text file's columns, where its first line does not say them.
        feature_item_column: the item id column of Parquet modalities; null: as `item_column`.
        item_id_files: modality -> file with the item id of every `.npy` row: integers in `.npy`, or one id a line.
    """

    user_column: str = "user"
    item_column: str = "item"
    timestamp_column: str | None = None
    rating_column: str | None = None
    min_rating: float | None = None
    split_column: str | None = None
    id_type: IdType = "integer"
    nulls: Nulls = "refuse"
    where: str | None = None
    weight: str | None = None
    min_weight: float | None = None
    separator: str | None = None
    quotes: Quotes = "one_line"
    encoding: str = "utf-8"
    columns: tuple[str, ...] | None = None
    feature_item_column: str | None = None
    item_id_files: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.rating_column is None) != (self.min_rating is None):
            raise ValueError("rating_column and min_rating go together: set both or neither")
        if (self.weight is None) != (self.min_weight is None):
            raise ValueError("weight and min_weight go together: set both or neither")
        if self.min_weight is not None and not 0 < self.min_weight < float("inf"):
            raise ValueError(f"min_weight={self.min_weight} must be above 0")
        for name in ("where", "weight"):
            if getattr(self, name) is not None:
                parsed(getattr(self, name), name)
        encoding_of(self.encoding)
        if self.mark is not None and (len(self.mark) != 1 or len(self.mark.encode()) > 2):
            raise ValueError(f"separator={self.separator!r} must be one character, of at most two bytes")
        if self.mark is not None and self.mark in '"\r\n\0':
            raise ValueError(f"separator={self.separator!r} must not be a quotation mark, a line break or NUL")

    @property
    def mark(self) -> str | None:
        """The separator itself: a tab is written as `\\t` in YAML without quotation marks, and by shells."""
        return "\t" if self.separator == "\\t" else self.separator


def read_table(input: str | Glob | None, modalities: Modalities, options: TableOptions) -> RawData:
    """See the module. Raises UserError for missing files and columns, and for values that are not what they must be."""
    if input is None:
        raise UserError("the format 'table' needs prepare.input, the file or the folder of the interactions")
    opened = opened_input(input, TextOptions(options.mark, options.quotes, options.encoding, options.columns))
    features = FeatureFiles(
        folder=opened.folder,
        files=modalities,
        item_id_files=options.item_id_files,
        item_column=options.feature_item_column or options.item_column,
        ids=Ids(options.id_type),
        by_row=True,
    )
    return raw_data_of(opened.rows, features.read(), options, (*opened.files, *features.sources))


def raw_data_of(
    rows: Rows,
    features: Mapping[str, RawModality],
    options: TableOptions,
    sources: tuple[Path, ...] = (),
    checksums: Mapping[str, str] | None = None,
) -> RawData:
    """The interactions of a table, with what is known of the items."""
    columns = ColumnNames(
        user=options.user_column,
        item=options.item_column,
        timestamp=options.timestamp_column,
        rating=options.rating_column,
        nulls=options.nulls,
        where=options.where,
        weight=options.weight,
        split=options.split_column,
        min_rating=options.min_rating,
        ids=Ids(options.id_type),
    )
    for what, name in columns.in_file.items():
        cure = f"`python -m dualgnn_dist.prepare --inspect {rows.path}` prints a config that fits"
        cure = f"; name it with prepare.options.{what}_column, or {cure}" if sources else ""  # a file, no Python table
        require_columns(rows.path, rows.columns, [name], cure)
    return RawData(
        read_columns(rows, columns, tally := Tally()),
        features,
        sources,
        checksums=checksums or {},
        no_times=no_times(rows, columns),
        min_weight=options.min_weight,
        tallies=(tally,),
    )
