"""The files of films beside MovieLens' ratings: their genres as tokens.

`movies.csv` has a header and `|` between genres, `movies.dat` has `::` between its values, `u.item` has a flag a genre.
They are small and read at once; the older ones are written in Latin-1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.readers.columns import Ids
from dualgnn_dist.data.prepare.formats.readers.lists import ListColumn
from dualgnn_dist.data.prepare.formats.readers.words import word_tokens
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import Place, RawModality
from dualgnn_dist.data.prepare.reading import require_columns
from dualgnn_dist.data.prepare.tabular.archive import only_member
from dualgnn_dist.data.prepare.tabular.plain import plain_text
from dualgnn_dist.data.prepare.tabular.text import TextTable

ZIP = ".zip"
COLUMNS = ("genres", "title")
FILES = ("movies.csv", "movies.dat", "u.item")
NO_GENRE = "(no genres listed)"
# The flags of `u.item`, in their order.
GENRES = (
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
IDS = Ids("integer", cure="")


def film_file(ratings: Path) -> Path:
    """The file of films in the folder of the ratings. Raises UserError where there is none."""
    files = [ratings.parent / name for name in FILES if (ratings.parent / name).is_file()]
    if not files:
        raise UserError(f"{ratings.parent} holds none of {', '.join(FILES)}, which have the genres")
    return files[0]


def film_modality(ratings: Path, name: str, column: str) -> RawModality:
    """The genres of the films as tokens, a genre's id being its rank among the genres that occur.

    Args:
        ratings: the file of the ratings, or the zip.
        name: of the modality, for messages.

    Raises:
        UserError: there is no file of films, it is not what it must be, or the titles are asked for, which are text.
    """
    if column == "title":
        raise UserError(
            f"modality {name!r}: titles are text, which no model reads; make vectors of them first, see "
            "docs/raw-content.md, or take genres"
        )
    table = _table(ratings)

    def rows(num_rows: int) -> Iterator[tuple[pl.DataFrame, Place]]:
        flags = [genre for genre in GENRES if genre in table.columns]
        names = {"items": table.columns[0], **({genre: genre for genre in flags} or {"genres": "genres"})}
        for block, place in table.blocks(names, num_rows):
            if flags:
                words = pl.concat_list(pl.when(pl.col(genre) == "1").then(pl.lit(genre)) for genre in flags)
            else:
                words = pl.col("genres").replace(NO_GENRE, None).str.split("|")
            lists = block.select("items", lists=words.list.drop_nulls())
            yield lists.with_columns(pl.when(pl.col("lists").list.len() > 0).then("lists")), place

    return word_tokens(
        ListColumn(
            rows=rows,
            path=table.path,
            column="genres",
            ids=lambda items, place: IDS.read(items, table.columns[0], place),
            unit="line",
        )
    )


def _table(ratings: Path) -> TextTable:
    path = only_member(ratings, FILES) if ratings.suffix == ZIP else film_file(ratings)
    encoding = _encoding(path)
    if path.suffix == ".csv":
        table = TextTable(path, ",", quotes="one_line", encoding=encoding)
        require_columns(path, table.columns, ["movieId", "genres"])
        return table
    if path.suffix == ".dat":
        return TextTable(path, "::", names=("movieId", "title", "genres"), encoding=encoding)
    return TextTable(path, "|", names=("movieId", "title", "released", "on_video", "url", *GENRES), encoding=encoding)


def _encoding(path: Path) -> str:
    text = bytearray()
    with plain_text(path) as file:
        piece = memoryview(bytearray(1 << 20))
        while size := file.readinto(piece):
            text += piece[:size]
    try:
        text.decode()
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"
