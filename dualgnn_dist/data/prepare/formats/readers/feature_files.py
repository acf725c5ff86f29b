"""Modalities in files of their own beside the interactions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.readers.array_files import array_names, stored_array
from dualgnn_dist.data.prepare.formats.readers.column_modality import column_modality
from dualgnn_dist.data.prepare.formats.readers.columns import Ids
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import BLOCK_ROWS, Modalities, ModalitySource, RawModality
from dualgnn_dist.data.prepare.reading import NAME_ITEMS, array_modality, existing, npy_array, numbered
from dualgnn_dist.data.prepare.tabular.opening import ENDINGS, TextOptions, rows_of
from dualgnn_dist.data.prepare.tabular.plain import suffix_of
from dualgnn_dist.data.prepare.tabular.text import TextTable

MATRICES = (".npy", ".npz", ".safetensors")


@dataclass(frozen=True, kw_only=True)
class FeatureFiles:
    """Modalities in files of one folder: matrices, and tables of whatever kind.

    Args:
        files: modality -> file, or what more is to be said of it.
        item_id_files: modality -> file with the item id of every row of its matrix.
        item_column: of the tables.
        by_row: row numbers of a matrix without such a file are item ids.
    """

    folder: Path
    files: Modalities
    item_id_files: Mapping[str, str]
    item_column: str
    ids: Ids
    by_row: bool

    @property
    def sources(self) -> tuple[Path, ...]:
        """All files that are read."""
        files = [file for name in self.files for file in self._files_of(name)]
        return tuple(dict.fromkeys(self.folder / file for file in files))

    def read(self) -> dict[str, RawModality]:
        """Modality -> its values. Raises UserError for files that are missing or not what they must be."""
        for name in self.item_id_files:
            if name not in self.files or Path(self._source(name).file).suffix not in MATRICES:
                raise UserError(f"prepare.options.item_id_files names {name!r}, which is no modality in a matrix")
        return {name: self._modality(name, existing(self.folder / self._source(name).file)) for name in self.files}

    def _source(self, name: str) -> ModalitySource:
        source = self.files[name]
        source = ModalitySource(file=source) if isinstance(source, str) else source
        return dataclasses.replace(source, items=source.items or self.item_id_files.get(name))

    def _files_of(self, name: str) -> list[str]:
        source = self._source(name)
        return [source.file, *([] if source.items is None or self._is_inside(source) else [source.items])]

    def _is_inside(self, source: ModalitySource) -> bool:
        """Whether the ids are an array of the file itself."""
        path = self.folder / source.file
        return path.suffix in MATRICES[1:] and path.is_file() and source.items in array_names(path)

    def _modality(self, name: str, path: Path) -> RawModality:
        source = self._source(name)
        if path.suffix in MATRICES:
            source.refuse(name, "of a matrix", item_column=source.item_column, separator=source.separator)
            return self._matrix(name, source, path)
        if suffix_of(path) not in ENDINGS:
            known = ", ".join([*MATRICES, *ENDINGS])
            raise UserError(f"modality {name!r}: {path} is of an unknown kind, known are {known}")
        source.refuse(name, "of a table, which has its item ids in item_column", items=source.items)
        item_column = source.item_column or self.item_column
        return column_modality(
            rows_of(path, TextOptions()),
            item_column,
            lambda column, place: self.ids.read(column, item_column, place),
            column=source.column,
            separator=source.separator,
        )

    def _matrix(self, name: str, source: ModalitySource, path: Path) -> RawModality:
        items = self._items(name, source, path)
        if path.suffix == ".npy":
            source.refuse(name, "of a .npy file, which has one array", column=source.column)
            return array_modality(path, npy_array(path), items)
        return stored_array(path, source.column).modality(items)

    def _items(self, name: str, source: ModalitySource, path: Path) -> pl.Series | None:
        if source.items is None:
            cure = NAME_ITEMS.format(name=name, file=source.file)
            if not self.by_row:
                raise UserError(f"modality {name!r}: {path} says nothing of its rows' items; {cure}")
            if self.ids.type == "text":
                raise UserError(f"modality {name!r}: {path} is keyed by row, ids are texts; {cure}")
            return None
        if self._is_inside(source):
            array = stored_array(path, source.items)
            return self._ids_of(array.path, array.whole())
        ids = existing(self.folder / source.items)
        return self._ids_of(ids, npy_array(ids)) if ids.suffix == ".npy" else self._ids_of_lines(ids)

    def _ids_of(self, path: Path, array: np.ndarray) -> pl.Series:
        kinds = "iu" if self.ids.type == "integer" else "iuUS"
        if array.ndim != 1 or array.dtype.kind not in kinds:
            what = "whole numbers" if self.ids.type == "integer" else "whole numbers or texts"
            raise UserError(f"{path} must hold {what} of shape [rows], not {array.dtype} {list(array.shape)}")
        values = np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array
        column = pl.Series(values.tolist(), dtype=pl.String) if values.dtype.kind == "U" else pl.Series(values)
        return self.ids.read(column, "item id", numbered(path, "row"))

    def _ids_of_lines(self, path: Path) -> pl.Series:
        blocks = TextTable(path, separator="", names=("id",)).blocks({"id": "id"}, BLOCK_ROWS)
        ids = [self.ids.read(block["id"], "item id", place) for block, place in blocks]
        if not ids:
            raise UserError(f"{path} is empty; it must hold one item id a line")
        return pl.concat(ids)


def file_of(source: str | ModalitySource) -> str:
    """The file that a modality names, or what stands in its place."""
    return source if isinstance(source, str) else source.file
