"""Modalities in files of their own beside the interactions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.readers.columns import Ids
from dualgnn_dist.data.prepare.formats.readers.parquet_modality import parquet_modality
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import BLOCK_ROWS, RawModality
from dualgnn_dist.data.prepare.reading import array_modality, existing, npy_array, numbered
from dualgnn_dist.data.prepare.tabular.text import TextTable


@dataclass(frozen=True, kw_only=True)
class FeatureFiles:
    """Modalities in `.npy` and Parquet files of one folder.

    Args:
        files: modality -> file.
        item_id_files: modality -> file with the item id of every `.npy` row: integers in `.npy`, or one id a line.
        item_column: of the Parquet files.
        by_row: row numbers of a `.npy` without such a file are item ids.
    """

    folder: Path
    files: Mapping[str, str]
    item_id_files: Mapping[str, str]
    item_column: str
    ids: Ids
    by_row: bool

    @property
    def sources(self) -> tuple[Path, ...]:
        """All files that are read."""
        return tuple(self.folder / file for file in [*self.files.values(), *self.item_id_files.values()])

    def read(self) -> dict[str, RawModality]:
        """Modality -> its values. Raises UserError for files that are missing or not what they must be."""
        unknown = [name for name in self.item_id_files if not self.files.get(name, "").endswith(".npy")]
        if unknown:
            raise UserError(f"prepare.options.item_id_files names {unknown[0]!r}, which is no .npy modality")
        return {name: self._modality(name, existing(self.folder / file)) for name, file in self.files.items()}

    def _modality(self, name: str, path: Path) -> RawModality:
        if path.suffix == ".parquet":
            return parquet_modality(
                path,
                self.item_column,
                lambda column, place: self.ids.read(column, self.item_column, place),
            )
        if path.suffix != ".npy":
            raise UserError(f"modality {name!r}: {path} must be a .npy or .parquet file")
        if name in self.item_id_files:
            items = self._item_ids(existing(self.folder / self.item_id_files[name]))
            return array_modality(path, npy_array(path), items)
        if not self.by_row:
            raise UserError(
                f"modality {name!r}: {path} says nothing of its rows' items; set prepare.options.item_id_files"
            )
        if self.ids.type == "text":
            raise UserError(
                f"modality {name!r}: {path} is keyed by row, ids are texts; set prepare.options.item_id_files"
            )
        return array_modality(path, npy_array(path))

    def _item_ids(self, path: Path) -> pl.Series:
        if path.suffix == ".npy":
            array = npy_array(path)
            if array.ndim != 1 or array.dtype.kind not in "iu":
                raise UserError(
                    f"{path} must hold whole numbers of shape [rows], not {array.dtype} {list(array.shape)}"
                )
            return self.ids.read(pl.Series(array), "item id", numbered(path, "row"))
        blocks = TextTable(path, separator="", names=("id",)).blocks({"id": "id"}, BLOCK_ROWS)
        ids = [self.ids.read(block["id"], "item id", place) for block, place in blocks]
        if not ids:
            raise UserError(f"{path} is empty; it must hold one item id a line")
        return pl.concat(ids)
