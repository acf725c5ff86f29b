"""What Amazon's files say of the items: keys of the meta file as tokens, and the image vectors of 2014."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.readers.columns import Ids
from dualgnn_dist.data.prepare.formats.readers.lists import ListColumn
from dualgnn_dist.data.prepare.formats.readers.words import word_lists, word_tokens
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import FeatureBlock, Place, RawModality
from dualgnn_dist.data.prepare.reading import numbered, readable, require_columns
from dualgnn_dist.data.prepare.tabular.json_lines import JsonLinesTable

IDS = Ids("text")
IMAGES = ".b"
IMAGE = np.dtype([("asin", "S10"), ("vector", "<f4", 4096)])
IMAGE_ROWS = 1 << 12  # at once
TEXTS = ("title", "description", "features", "feature")


def meta_modality(path: Path, name: str, key: str) -> RawModality:
    """A key of the meta file as tokens: of its text, or of every text of its list.

    Raises:
        UserError: the file has no such key, or its values are running text, which no model reads.
    """
    if key in TEXTS:
        raise UserError(
            f"modality {name!r}: {key} is text, which no model reads; make vectors of it first, see docs/raw-content.md"
        )
    records = JsonLinesTable(path)
    require_columns(path, records.columns, [key])
    item = "parent_asin" if "parent_asin" in records.columns else "asin"
    require_columns(path, records.columns, [item])

    def rows(num_rows: int) -> Iterator[tuple[pl.DataFrame, Place]]:
        for block, place in records.blocks({"items": item, "value": key}, num_rows):
            yield block.select("items", lists=word_lists(block["value"], place)), place

    column = ListColumn(
        rows=rows,
        path=path,
        column=key,
        ids=lambda items, place: IDS.read(items, item, place),
        unit="line",
        only_items=lambda num_rows: records.blocks({"items": item}, num_rows),
    )
    return word_tokens(column)


def image_modality(path: Path) -> RawModality:
    """The vectors of a `.b` file. Raises UserError where its size is not that of whole records."""
    with readable(path):
        size = path.stat().st_size
        if size == 0 or size % IMAGE.itemsize:
            raise UserError(f"{path} has {size:,} bytes, which are not whole records of {IMAGE.itemsize:,}")
        images = np.memmap(path, IMAGE, mode="r")

    def blocks() -> Iterator[FeatureBlock]:
        for start in range(0, len(images), IMAGE_ROWS):
            block = images[start : start + IMAGE_ROWS]
            yield FeatureBlock(start, _asins(block), np.ascontiguousarray(block["vector"]))

    def items() -> Iterator[tuple[pl.Series, Place]]:
        for start in range(0, len(images), IMAGE_ROWS):
            yield _asins(images[start : start + IMAGE_ROWS]), numbered(path, "row", start)

    return RawModality("dense", 4096, "float32", numbered(path, "row"), blocks, items=items)


def _asins(images: np.ndarray) -> pl.Series:
    return pl.Series(np.char.decode(images["asin"], "ascii", "replace").tolist(), dtype=pl.String)
