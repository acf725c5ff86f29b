"""`recbole`: atomic files, tab separated, whose header gives every column as `name:type`.

`<dataset>.inter` has the interactions, or one file a split, `<dataset>.<part>.inter`. A modality is a column of
`<dataset>.item`: `float_seq` and `float` are dense; `token_seq` and `token` are tokens, a word's id being its rank
among the words of the column. Empty is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.readers.columns import ColumnNames, Ids, IdType, no_times, read_columns
from dualgnn_dist.data.prepare.formats.readers.expression import parsed
from dualgnn_dist.data.prepare.formats.readers.lists import ListColumn
from dualgnn_dist.data.prepare.formats.readers.nulls import Nulls
from dualgnn_dist.data.prepare.formats.readers.words import word_tokens
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import SPLIT_CODES, Place, RawData, RawModality, Tally
from dualgnn_dist.data.prepare.reading import existing, refuse_first, require_columns, required_folder
from dualgnn_dist.data.prepare.tabular.text import TextTable

TYPES = ("float_seq", "float", "token_seq", "token")


@dataclass(frozen=True, kw_only=True)
class RecBoleOptions:
    """Files and columns; columns without their types.

    Args:
        dataset: the files' stem; null takes the only one.
        user_column: holds the user's id.
        item_column: holds the item's id.
        timestamp_column: holds when; null takes `timestamp` if there is one.
        rating_column: holds a rating; null: there is none.
        min_rating: interactions rated lower are left out; needs `rating_column`.
        parts: the names of the training, validation and test files, as in `<dataset>.train.inter`; null: one file.
        id_type: `integer` ids are checked and stored as int64, `text` ids as they are written.
        nulls: interactions without a user, an item, a time or a rating: `refuse` them all, or `drop` them, counted.
        where: an expression over columns, in SQL; interactions for which it is not true are left out.
    """

    dataset: str | None = None
    user_column: str = "user_id"
    item_column: str = "item_id"
    timestamp_column: str | None = None
    rating_column: str | None = None
    min_rating: float | None = None
    parts: tuple[str, str, str] | None = None
    id_type: IdType = "text"
    nulls: Nulls = "refuse"
    where: str | None = None

    def __post_init__(self) -> None:
        if (self.rating_column is None) != (self.min_rating is None):
            raise ValueError("rating_column and min_rating go together: set both or neither")
        if self.where is not None:
            parsed(self.where, "where")


@dataclass(frozen=True)
class AtomicFile:
    """An atomic file in columns, which go by their names without types."""

    path: Path

    @cached_property
    def types(self) -> dict[str, str]:
        """Column -> its type. Raises UserError where there is no header, or two columns of a name."""
        header = self._table.columns
        types = {name: kind for name, _, kind in (column.partition(":") for column in header)}
        if len(types) < len(header):
            raise UserError(f"{self.path}, line 1: a column's name occurs twice")
        return types

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.types)

    def blocks(self, names: Mapping[str, str], num_rows: int) -> Iterator[tuple[pl.DataFrame, Place]]:
        """As of `TextTable`."""
        in_file = dict(zip(self.types, self._table.columns, strict=True))
        return self._table.blocks({name: in_file[column] for name, column in names.items()}, num_rows)

    @cached_property
    def _table(self) -> TextTable:
        return TextTable(self.path, "\t")


def read_recbole(input: str | None, modalities: Mapping[str, str], options: RecBoleOptions) -> RawData:
    """See the module. `modalities` is name -> column. Raises UserError for missing files, columns and wrong values."""
    folder = required_folder(input, "recbole")
    dataset = options.dataset or _only_dataset(folder, options.parts or tuple(SPLIT_CODES))
    stems = [dataset] if options.parts is None else [f"{dataset}.{part}" for part in options.parts]
    paths = [existing(folder / f"{stem}.inter") for stem in stems]
    files = [AtomicFile(path) for path in paths]
    timestamp = options.timestamp_column
    if timestamp is None and "timestamp" in files[0].columns:
        timestamp = "timestamp"
    columns = ColumnNames(
        user=options.user_column,
        item=options.item_column,
        timestamp=timestamp,
        rating=options.rating_column,
        nulls=options.nulls,
        where=options.where,
        min_rating=options.min_rating,
        ids=Ids(options.id_type),
    )
    tallies = tuple(Tally() for _ in files)
    readers = [read_columns(file, columns, tally) for file, tally in zip(files, tallies, strict=True)]

    def blocks() -> Iterator[pl.DataFrame]:
        for code, reader in enumerate(readers):
            split = {} if options.parts is None else {"split": pl.lit(code, dtype=pl.Int8)}
            yield from (block.with_columns(**split) for block in reader())

    if not modalities:
        return RawData(blocks, {}, tuple(paths), no_times=no_times(files[0], columns), tallies=tallies)
    items = AtomicFile(existing(folder / f"{dataset}.item"))
    features = {name: _modality(items, column, options) for name, column in modalities.items()}
    return RawData(blocks, features, (*paths, items.path), no_times=no_times(files[0], columns), tallies=tallies)


def _only_dataset(folder: Path, parts: tuple[str, ...]) -> str:
    ends = [*(f".{part}.inter" for part in parts), ".inter"]
    names = [path.name for path in folder.glob("*.inter")]
    datasets = {name.removesuffix(next(end for end in ends if name.endswith(end))) for name in names}
    if len(datasets) != 1:
        raise UserError(
            f"{folder} must hold the .inter files of one data set, there are: {', '.join(sorted(datasets)) or 'none'}; "
            "name it with prepare.options.dataset"
        )
    return datasets.pop()


def _modality(file: AtomicFile, column: str, options: RecBoleOptions) -> RawModality:
    require_columns(file.path, file.columns, [options.item_column, column])
    kind = file.types[column]
    if kind not in TYPES:
        raise UserError(
            f"{file.path}, line 1: the column {column!r} has the type {kind!r}; write {column}:TYPE, with a TYPE of "
            f"{', '.join(TYPES)}"
        )

    def rows(num_rows: int) -> Iterator[tuple[pl.DataFrame, Place]]:
        for block, place in file.blocks({"items": options.item_column, "text": column}, num_rows):
            words = text.str.extract_all("[^ ]+") if kind.endswith("_seq") else pl.concat_list(text)
            yield block.select("items", lists=pl.when(text.is_not_null() & (words.list.len() > 0)).then(words)), place

    text = pl.col("text")
    list_column = ListColumn(
        rows=rows,
        path=file.path,
        column=column,
        ids=lambda items, place: Ids(options.id_type).read(items, options.item_column, place),
        unit="line",
        only_items=lambda num_rows: file.blocks({"items": options.item_column}, num_rows),
    )
    if kind.startswith("float"):
        return list_column.dense(lambda lists, place: _numbers(lists, column, place))
    return word_tokens(list_column)


def _numbers(lists: pl.Series, column: str, place: Place) -> pl.Series:
    numbers = lists.cast(pl.List(pl.Float64), strict=False)
    wrong = numbers.list.drop_nulls().list.len() < lists.list.len()
    refuse_first(
        wrong.fill_null(False), place, lambda row: f"{column} {' '.join(lists[row])[:60]!r} is not made of numbers"
    )
    return numbers
