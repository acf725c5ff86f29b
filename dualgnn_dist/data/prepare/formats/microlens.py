"""`microlens`: the public files of MicroLens: pairs of user and video, and features of the videos.

The repository westlake-repl/MicroLens gives `*_pairs.tsv` as one line a user, `user<tab>item item ...`, in the order of
time (README; `read_behaviors` of Code/VideoRec), and numbers the videos from 1 (`read_items` there). The download has
`*_pairs.csv` beside it, with the header `user,item,timestamp` and times in milliseconds. Row k of an extracted `.npy`
is the video k + 1; the repository's code does not say so, others read them that way. The lines of `*_title*.csv` are
`item,title` (`read_texts`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dualgnn_dist.base.errors import UserError, nearest
from dualgnn_dist.data.prepare.formats.readers.columns import ColumnNames, Ids, read_columns
from dualgnn_dist.data.prepare.formats.readers.feature_files import FeatureFiles, file_of
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import Modalities, ModalitySource, Place, RawData, RawModality, Tally
from dualgnn_dist.data.prepare.reading import EMPTY, array_modality, existing, npy_array, readable, refuse_first
from dualgnn_dist.data.prepare.tabular.rows import Rows
from dualgnn_dist.data.prepare.tabular.text import TextTable

ENDINGS = ("_pairs.csv", "_pairs.tsv")  # the first has the times, so it is taken where both are there
TEXTS = (".csv", ".tsv", ".txt")
COLUMNS: dict[str, Any] = {"user": "user", "item": "item", "timestamp": "timestamp"}
FIRST_ITEM = 1
IDS = Ids("integer", cure="")
USERS = 1 << 14  # lines at once; a line is a user with all items


@dataclass(frozen=True, kw_only=True)
class MicroLensOptions:
    """Where a modality's ids are.

    Args:
        item_column: the item id column of Parquet modalities.
        item_id_files: modality -> file with the item id of every `.npy` row: integers in `.npy`, or one id a line;
            without one, row k is the item k + 1.
    """

    item_column: str = "item"
    item_id_files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sequences:
    """A file of one line a user as rows of one item each; `timestamp` is the place in the user's line, from 0."""

    path: Path
    columns: tuple[str, ...] = tuple(COLUMNS.values())

    def blocks(self, names: Mapping[str, str], num_rows: int) -> Iterator[tuple[pl.DataFrame, Place]]:
        """As of `Rows`. Raises UserError for a line without items."""
        table = TextTable(self.path, "\t", names=("user", "items"))
        for block, place in table.blocks({"user": "user", "items": "items"}, min(USERS, num_rows)):
            lists = block["items"].str.extract_all(r"[^ ]+")
            refuse_first((lists.list.len() == 0).fill_null(True), place, lambda row: EMPTY.format("the list of items"))
            lengths = lists.list.len().to_numpy()
            lines = np.repeat(np.arange(len(block)), lengths)
            firsts = np.cumsum(lengths) - lengths
            values = {
                "user": block["user"].gather(lines),
                "item": lists.explode(),
                "timestamp": pl.Series(np.arange(len(lines)) - np.repeat(firsts, lengths)),
            }
            rows = pl.DataFrame({name: values[column] for name, column in names.items()})
            for first in range(0, len(rows), num_rows):
                yield rows[first : first + num_rows], _shifted(place, lines[first : first + num_rows])


def read_microlens(input: str | None, modalities: Modalities, options: MicroLensOptions) -> RawData:
    """See the module. Raises UserError for missing files, and for lines that are not what they must be."""
    if input is None:
        raise UserError("the format 'microlens' needs prepare.input, the file of the pairs or its folder")
    path = Path(input)
    with readable(path):
        path = _pairs(path) if path.is_dir() else existing(path)
    if path.suffix not in (".csv", ".tsv"):
        raise UserError(f"{path}: unknown ending, known are {', '.join(ENDINGS)}; other files are for 'table'")
    rows: Rows = TextTable(path, ",") if path.suffix == ".csv" else Sequences(path)
    by_place = {name: file for name, file in modalities.items() if _is_by_place(name, file, options)}
    features = FeatureFiles(
        folder=path.parent,
        files={name: file for name, file in modalities.items() if name not in by_place},
        item_id_files=options.item_id_files,
        item_column=options.item_column,
        ids=IDS,
        by_row=False,
    )
    numbered = {name: _from_first_item(existing(path.parent / file_of(file))) for name, file in by_place.items()}
    sources = (path, *features.sources, *(path.parent / file_of(file) for file in by_place.values()))
    blocks = read_columns(rows, ColumnNames(**COLUMNS, min_rating=None, ids=IDS), tally := Tally())
    return RawData(blocks, {**features.read(), **numbered}, sources, tallies=(tally,))


def _is_by_place(name: str, source: str | ModalitySource, options: MicroLensOptions) -> bool:
    if isinstance(source, ModalitySource):
        return False
    file = source
    if file.endswith(TEXTS):
        raise UserError(
            f"modality {name!r}: {file} is text, which no model reads; make vectors of it first, see "
            "docs/raw-content.md, and name their .npy file"
        )
    return file.endswith(".npy") and name not in options.item_id_files


def _from_first_item(path: Path) -> RawModality:
    array = npy_array(path)
    items = pl.int_range(FIRST_ITEM, FIRST_ITEM + len(array) if array.ndim else FIRST_ITEM, eager=True)
    return array_modality(path, array, items)


def _pairs(folder: Path) -> Path:
    for ending in ENDINGS:
        files = sorted(folder.glob(f"*{ending}"))
        if len(files) > 1:
            names = " and ".join(file.name for file in files)
            raise UserError(f"{folder} holds {names}; name one of them as prepare.input")
        if files:
            return files[0]
    names_there = [file.name for file in folder.iterdir()]
    raise UserError(f"{folder} holds no *{' and no *'.join(ENDINGS)}{nearest('MicroLens-100k_pairs.csv', names_there)}")


def _shifted(place: Place, lines: np.ndarray) -> Place:
    return lambda row: place(int(lines[row]))
