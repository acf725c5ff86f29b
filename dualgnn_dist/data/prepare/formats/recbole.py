"""`recbole`: atomic files, tab separated, whose header gives every column as `name:type`.

`<dataset>.inter` has the interactions, or one file a split, `<dataset>.<part>.inter`. A modality is a column of
`<dataset>.item`: `float_seq` and `float` are dense; `token_seq` and `token` are tokens, a word's id being its rank
among the words of the column. Empty is missing, and items without an interaction are skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.readers.columns import ColumnNames, Ids, IdType, read_columns
from dualgnn_dist.data.prepare.formats.readers.lists import ListColumn
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.ids import IdTable
from dualgnn_dist.data.prepare.raw_data import SPLIT_CODES, RawData, RawModality
from dualgnn_dist.data.prepare.reading import (
    at_lines,
    collect,
    columns_of,
    existing,
    refuse_first,
    require_columns,
    required_folder,
    scan_lines,
)

TYPES = ("float_seq", "float", "token_seq", "token")
FIRST_LINE = 2  # the header is line 1
Place = Callable[[int], str]


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
    """

    dataset: str | None = None
    user_column: str = "user_id"
    item_column: str = "item_id"
    timestamp_column: str | None = None
    rating_column: str | None = None
    min_rating: float | None = None
    parts: tuple[str, str, str] | None = None
    id_type: IdType = "text"

    def __post_init__(self) -> None:
        if (self.rating_column is None) != (self.min_rating is None):
            raise ValueError("rating_column and min_rating go together: set both or neither")


def read_recbole(input: str | None, modalities: Mapping[str, str], options: RecBoleOptions) -> RawData:
    """See the module. `modalities` is name -> column. Raises UserError for missing files, columns and wrong values."""
    folder = required_folder(input, "recbole")
    dataset = options.dataset or _only_dataset(folder, options.parts or tuple(SPLIT_CODES))
    stems = [dataset] if options.parts is None else [f"{dataset}.{part}" for part in options.parts]
    paths = [existing(folder / f"{stem}.inter") for stem in stems]
    frames = [_scan(path)[0] for path in paths]
    timestamp = options.timestamp_column
    if timestamp is None and "timestamp" in columns_of(frames[0], paths[0]):
        timestamp = "timestamp"
    columns = ColumnNames(
        user=options.user_column,
        item=options.item_column,
        timestamp=timestamp,
        rating=options.rating_column,
        min_rating=options.min_rating,
        ids=Ids(options.id_type),
    )
    readers = [
        read_columns(frame, path, columns, "line", FIRST_LINE) for frame, path in zip(frames, paths, strict=True)
    ]

    def blocks() -> Iterator[pl.DataFrame]:
        for code, reader in enumerate(readers):
            split = {} if options.parts is None else {"split": pl.lit(code, dtype=pl.Int8)}
            yield from (block.with_columns(**split) for block in reader())

    if not modalities:
        return RawData(blocks, {}, tuple(paths))
    path = existing(folder / f"{dataset}.item")
    features = {name: _modality(path, column, options) for name, column in modalities.items()}
    return RawData(blocks, features, (*paths, path))


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


def _scan(path: Path) -> tuple[pl.LazyFrame, dict[str, str]]:
    """The file with its columns' bare names, all texts, and name -> type."""
    frame = pl.scan_csv(path, separator="\t", infer_schema=False, quote_char=None)
    header = columns_of(frame, path).names()
    types = {name: kind for name, _, kind in (column.partition(":") for column in header)}
    if len(types) < len(header):
        raise UserError(f"{path}, line 1: a column's name occurs twice")
    _refuse_ragged(path, len(header))
    return frame.rename(dict(zip(header, types, strict=True))), types


def _refuse_ragged(path: Path, width: int) -> None:
    # A tab within a value moves those after it: reading chosen columns alone would not notice.
    lines = scan_lines(path).with_columns(values=pl.col("line").str.count_matches("\t", literal=True) + 1)
    ragged = collect(lines.filter(pl.col("values") != width).head(1), path)
    refuse_first(
        np.ones(len(ragged), dtype=bool),
        at_lines(path, ragged["number"]),
        lambda row: f"there are {ragged['values'][row]} values with tabs between them, but {width} columns",
    )


def _modality(path: Path, column: str, options: RecBoleOptions) -> RawModality:
    frame, types = _scan(path)
    require_columns(path, types, [options.item_column, column])
    kind = types[column]
    if kind not in TYPES:
        raise UserError(
            f"{path}, line 1: the column {column!r} has the type {kind!r}; write {column}:TYPE, with a TYPE of "
            f"{', '.join(TYPES)}"
        )
    text = pl.col(column)
    words = text.str.extract_all("[^ ]+") if kind.endswith("_seq") else pl.concat_list(text)
    words = pl.when(text.is_not_null() & (words.list.len() > 0)).then(words)
    list_column = ListColumn(
        frame=frame.select(items=options.item_column, lists=words),
        path=path,
        column=column,
        ids=lambda items, place: Ids(options.id_type).read(items, options.item_column, place),
        unit="line",
        first=FIRST_LINE,
        may_name_others=True,
    )
    if kind.startswith("float"):
        return list_column.dense(lambda lists, place: _numbers(lists, column, place))
    distinct = collect(list_column.frame.select(pl.col("lists").explode()).drop_nulls().unique(), path)["lists"]
    vocabulary = IdTable(distinct.sort())
    return list_column.tokens(lambda flat, place: pl.Series(vocabulary.rows(flat), dtype=pl.Int64))


def _numbers(lists: pl.Series, column: str, place: Place) -> pl.Series:
    numbers = lists.cast(pl.List(pl.Float64), strict=False)
    wrong = numbers.list.drop_nulls().list.len() < lists.list.len()
    refuse_first(
        wrong.fill_null(False), place, lambda row: f"{column} {' '.join(lists[row])[:60]!r} is not made of numbers"
    )
    return numbers
