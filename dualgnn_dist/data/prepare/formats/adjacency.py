"""`adjacency`: three text files, one a split, with lines `user item item ...`; `.npy` files of features by item row.

Ids are row indices from 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dualgnn_dist.data.prepare.formats.readers.row_ids import NO_TIMES, RowIds
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import SPLIT_CODES, Place, RawData
from dualgnn_dist.data.prepare.reading import array_modality, existing, npy_array, required_folder
from dualgnn_dist.data.prepare.tabular.text import TextTable

BLOCK_LINES = 1 << 16


@dataclass(frozen=True, kw_only=True)
class AdjacencyOptions:
    """The file of every split in the input folder. What `prepare.split` is to make has no file: null.

    Args:
        train: of the training interactions.
        valid: of the held-out validation items; null: there is none.
        test: of the held-out test items; null: there is none.
    """

    train: str = "train.txt"
    valid: str | None = "valid.txt"
    test: str | None = "test.txt"


def read_adjacency(input: str | None, modalities: Mapping[str, str], options: AdjacencyOptions) -> RawData:
    """See the module. Raises UserError for missing files and for words that are no whole numbers."""
    folder = required_folder(input, "adjacency")
    files = {name: existing(folder / file) for name, file in vars(options).items() if file is not None}
    arrays = {name: npy_array(folder / file) for name, file in modalities.items()}
    features = {name: array_modality(folder / modalities[name], array) for name, array in arrays.items()}
    users, items = RowIds.within(files.values()), RowIds.within(files.values(), map(len, arrays.values()))

    def blocks() -> Iterator[pl.DataFrame]:
        for name, path in files.items():
            for pairs in _pairs(path, users, items):
                yield pairs.with_columns(split=pl.lit(SPLIT_CODES[name], dtype=pl.Int8))

    sources = (*files.values(), *(folder / file for file in modalities.values()))
    return RawData(blocks, features, sources, ids_are_rows=True, no_times=NO_TIMES.format("adjacency"))


def _pairs(path: Path, users: RowIds, items: RowIds) -> Iterator[pl.DataFrame]:
    for block, place in TextTable(path, separator="", names=("line",)).blocks({"line": "line"}, BLOCK_LINES):
        words = block["line"].str.extract_all(r"\S+")
        user = users.read(words.list.first(), "user", place)
        pairs = pl.DataFrame({"row": np.arange(len(words)), "user": user, "item": words.list.slice(1)})
        pairs = pairs.filter(pl.col("item").list.len() > 0).explode("item")
        rows = pairs["row"]
        yield pl.DataFrame({"user": pairs["user"], "item": items.read(pairs["item"], "item", _of_pairs(place, rows))})


def _of_pairs(place: Place, rows: pl.Series) -> Place:
    return lambda pair: place(rows[pair])
