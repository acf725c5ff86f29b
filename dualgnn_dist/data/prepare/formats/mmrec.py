"""`mmrec`: one tab separated `.inter` file with the columns userID, itemID, x_label, and a `.npy` file a modality.

Ids are row indices from 0 and rows of the `.npy` files; x_label 0 is training, 1 validation, 2 test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.readers.row_ids import NO_TIMES, RowIds
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import BLOCK_ROWS, SPLIT_CODES, Place, RawData
from dualgnn_dist.data.prepare.reading import (
    array_modality,
    existing,
    npy_array,
    refuse_first,
    require_columns,
    required_folder,
    row_numbers,
)
from dualgnn_dist.data.prepare.tabular.text import TextTable


@dataclass(frozen=True, kw_only=True)
class MMRecOptions:
    """The interactions' file and columns.

    Args:
        interactions: the file in the input folder; null takes its only `*.inter`.
        user_column: holds the user's id.
        item_column: holds the item's id.
        label_column: holds the split: 0 training, 1 validation, 2 test.
    """

    interactions: str | None = None
    user_column: str = "userID"
    item_column: str = "itemID"
    label_column: str = "x_label"


def read_mmrec(input: str | None, modalities: Mapping[str, str], options: MMRecOptions) -> RawData:
    """See the module. Raises UserError for missing files, missing columns, and ids or labels that are none."""
    folder = required_folder(input, "mmrec")
    path = existing(folder / options.interactions) if options.interactions else _only_inter(folder)
    arrays = {name: npy_array(folder / file) for name, file in modalities.items()}
    features = {name: array_modality(folder / modalities[name], array) for name, array in arrays.items()}
    names = {"user": options.user_column, "item": options.item_column, "split": options.label_column}
    table = TextTable(path, "\t")
    require_columns(path, table.columns, names.values())
    users, items = RowIds.within([path]), RowIds.within([path], map(len, arrays.values()))

    def blocks() -> Iterator[pl.DataFrame]:
        for block, place in table.blocks(names, BLOCK_ROWS):
            labels = _labels(block["split"], names["split"], place)
            user = users.read(block["user"], names["user"], place)
            yield pl.DataFrame({"user": user, "item": items.read(block["item"], names["item"], place), "split": labels})

    sources = (path, *(folder / file for file in modalities.values()))
    return RawData(blocks, features, sources, ids_are_rows=True, no_times=NO_TIMES.format("mmrec"))


def _labels(column: pl.Series, name: str, place: Place) -> pl.Series:
    labels = row_numbers(column, name, place)
    wrong = labels >= len(SPLIT_CODES)
    refuse_first(wrong, place, lambda row: f"{name} {labels[row]} is no split label; labels are {SPLIT_CODES}")
    return labels


def _only_inter(folder: Path) -> Path:
    files = sorted(folder.glob("*.inter"))
    if len(files) != 1:
        names = ", ".join(path.name for path in files) or "none"
        raise UserError(
            f"{folder} must hold one .inter file, there are: {names}; name it with prepare.options.interactions"
        )
    return files[0]
