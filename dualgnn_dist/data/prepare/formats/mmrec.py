"""`mmrec`: one tab separated `.inter` file with the columns userID, itemID, x_label, and a `.npy` file a modality.

Ids are row indices from 0 and rows of the `.npy` files; x_label 0 is training, 1 validation, 2 test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import BLOCK_ROWS, RawData
from dualgnn_dist.data.prepare.reading import (
    batches,
    columns_of,
    existing,
    npy_modality,
    numbered,
    require_columns,
    required_folder,
    row_numbers,
)


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
    features = {name: npy_modality(folder / file) for name, file in modalities.items()}
    names = {"user": options.user_column, "item": options.item_column, "split": options.label_column}
    frame = pl.scan_csv(path, separator="\t", infer_schema=False)
    require_columns(path, columns_of(frame, path).names(), names.values())

    def blocks() -> Iterator[pl.DataFrame]:
        line = 2  # the header is line 1
        for block in batches(frame.select(**names), path, BLOCK_ROWS):
            place = numbered(path, "line", line)
            yield pl.DataFrame({name: row_numbers(block[name], column, place) for name, column in names.items()})
            line += len(block)

    sources = (path, *(folder / file for file in modalities.values()))
    return RawData(blocks, features, sources, ids_are_rows=True)


def _only_inter(folder: Path) -> Path:
    files = sorted(folder.glob("*.inter"))
    if len(files) != 1:
        names = ", ".join(path.name for path in files) or "none"
        raise UserError(
            f"{folder} must hold one .inter file, there are: {names}; name it with prepare.options.interactions"
        )
    return files[0]
