"""`adjacency`: three text files, one a split, with lines `user item item ...`; `.npy` files of features by item row.

Ids are row indices from 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import SPLIT_CODES, RawData
from dualgnn_dist.data.prepare.reading import (
    at_lines,
    batches,
    existing,
    npy_modality,
    required_folder,
    row_numbers,
    scan_lines,
)

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
    features = {name: npy_modality(folder / file) for name, file in modalities.items()}

    def blocks() -> Iterator[pl.DataFrame]:
        for name, path in files.items():
            for pairs in _pairs(path):
                yield pairs.with_columns(split=pl.lit(SPLIT_CODES[name], dtype=pl.Int8))

    sources = (*files.values(), *(folder / file for file in modalities.values()))
    return RawData(blocks, features, sources, ids_are_rows=True)


def _pairs(path: Path) -> Iterator[pl.DataFrame]:
    words = scan_lines(path).select("number", pl.col("line").str.extract_all(r"\S+").alias("words"))
    pairs = words.filter(pl.col("words").list.len() > 1).select(
        "number", user=pl.col("words").list.first(), item=pl.col("words").list.slice(1)
    )
    for block in batches(pairs, path, BLOCK_LINES):
        block = block.with_columns(row_numbers(block["user"], "user", at_lines(path, block["number"]))).explode("item")
        items = row_numbers(block["item"], "item", at_lines(path, block["number"]))
        yield pl.DataFrame({"user": block["user"], "item": items})
