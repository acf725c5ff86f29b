"""`movielens`: the rating files of GroupLens, `ratings.csv`, `ratings.dat` or `u.data`; every rating has its moment.

The input is such a file, its folder, or the zip as GroupLens ships it. Ids are whole numbers. Modalities are Parquet
files with an item id column, `.npy` files with a file of item ids, or `genres`, the tokens of the file of films beside
the ratings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dualgnn_dist.base.errors import UserError, nearest
from dualgnn_dist.data.prepare.formats.films import COLUMNS as FILM_COLUMNS
from dualgnn_dist.data.prepare.formats.films import ZIP, film_file, film_modality
from dualgnn_dist.data.prepare.formats.readers.columns import ColumnNames, Ids, read_columns
from dualgnn_dist.data.prepare.formats.readers.feature_files import FeatureFiles
from dualgnn_dist.data.prepare.raw_data import Modalities, RawData, Tally
from dualgnn_dist.data.prepare.reading import existing, readable
from dualgnn_dist.data.prepare.tabular.archive import only_member
from dualgnn_dist.data.prepare.tabular.text import TextTable

FILES = {"ratings.csv": ",", "ratings.dat": "::", "u.data": "\t"}
SEPARATORS = {Path(name).suffix: separator for name, separator in FILES.items()}
# In the order of every file, with the names that the .csv has in its first line; the others have none.
COLUMNS: dict[str, Any] = {"user": "userId", "item": "movieId", "rating": "rating", "timestamp": "timestamp"}
IDS = Ids("integer", cure="")


@dataclass(frozen=True, kw_only=True)
class MovieLensOptions:
    """Which ratings are interactions, and where a modality's ids are.

    Args:
        min_rating: ratings below it are left out; null takes all.
        item_column: the item id column of Parquet modalities.
        item_id_files: modality -> file with the item id of every `.npy` row: integers in `.npy`, or one id a line.
    """

    min_rating: float | None = None
    item_column: str = "movieId"
    item_id_files: dict[str, str] = field(default_factory=dict)


def read_movielens(input: str | None, modalities: Modalities, options: MovieLensOptions) -> RawData:
    """See the module. Raises UserError for missing files, and for lines that are no ratings."""
    if input is None:
        raise UserError("the format 'movielens' needs prepare.input, the file of the ratings, its folder or the zip")
    path = Path(input)
    with readable(path):
        path = _only_file(path) if path.is_dir() else existing(path)
    ratings, films = _ratings(path), []
    columns = ColumnNames(**COLUMNS, min_rating=options.min_rating, ids=IDS)
    features = FeatureFiles(
        folder=path.parent,
        files={name: file for name, file in modalities.items() if file not in FILM_COLUMNS},
        item_id_files=options.item_id_files,
        item_column=options.item_column,
        ids=IDS,
        by_row=False,
    )

    modalities_of_films = {}
    for name, column in modalities.items():
        if isinstance(column, str) and column in FILM_COLUMNS:
            modalities_of_films[name] = film_modality(path, name, column)
            films = [] if path.suffix == ZIP else [film_file(path)]
    sources = (path, *features.sources, *films)
    blocks = read_columns(ratings, columns, tally := Tally())
    return RawData(blocks, {**features.read(), **modalities_of_films}, sources, tallies=(tally,))


def _only_file(folder: Path) -> Path:
    files = [folder / name for name in FILES if (folder / name).is_file()]
    if not files:
        names = [path.name for path in folder.iterdir()]
        raise UserError(f"{folder} holds none of {', '.join(FILES)}{nearest('ratings.csv', names)}")
    if len(files) > 1:
        names = [path.name for path in files]
        raise UserError(f"{folder} holds {' and '.join(names)}; name one of them as prepare.input")
    return files[0]


def _ratings(path: Path) -> TextTable:
    names = tuple(COLUMNS.values())
    if path.suffix == ZIP:
        path = only_member(path, FILES)
    separator = SEPARATORS.get(path.suffix)
    if separator is None:
        endings = ", ".join([*SEPARATORS, ZIP])
        raise UserError(f"{path}: unknown ending, known are {endings}; other files are for 'table'")
    if path.suffix != ".csv":
        return TextTable(path, separator, names=names)
    table = TextTable(path, separator)
    if table.columns != names:
        header = ",".join(table.columns)[:200]
        raise UserError(f"{path}, line 1: the header must be {','.join(names)}, not {header}; others are for 'table'")
    return table
