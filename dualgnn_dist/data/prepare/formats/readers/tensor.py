"""A modality in a matrix by item row: a `.npy` array or a `.pt` tensor, which may name words instead of holding values.

A matrix [items, D] is dense. One of whole numbers [2, n] is token lists: item row and word id, pair by pair.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.counting_sort import row_offsets, stable_order
from dualgnn_dist.data.prepare.formats.readers.lists import BLOCK_ITEMS, MAX_TOKENS
from dualgnn_dist.data.prepare.formats.readers.row_ids import RowIds
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import FeatureBlock, RawModality, TokenLists
from dualgnn_dist.data.prepare.reading import array_modality, existing, npy_array, numbered, refuse_first


def read_matrix(path: Path) -> np.ndarray:
    """The array of a `.npy` or `.pt` file, mapped where its layout allows.

    Raises:
        UserError: the file is missing, or holds anything but one array.
    """
    if path.suffix == ".npy":
        return npy_array(path)
    if path.suffix != ".pt":
        raise UserError(f"{path} must be a .npy or .pt file")
    existing(path)
    try:
        is_zip = zipfile.is_zipfile(path)  # files of torch before 1.6 are none, and cannot be mapped
        tensor = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except Exception as error:  # torch's own words recommend to load it nevertheless
        asked = re.search(r"GLOBAL (\S+)", str(error))
        what = f"asks for {asked[1]!r}" if asked else "is no file of torch.save, or a damaged one"
        raise UserError(
            f"{path} {what}. It was not loaded, since it could hide a program; save the tensor alone with torch.save"
        ) from error
    if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided:
        raise UserError(f"{path} must hold one dense tensor, not {_kind(tensor)}")
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()  # NumPy has no such type
    return tensor.detach().numpy()


def num_rows(path: Path, matrix: np.ndarray) -> int:
    """How many item rows a matrix names. Raises UserError for a row that is none."""
    if not _is_tokens(matrix):
        return len(matrix) if matrix.ndim else 0
    ends = RowIds.within([path]).end, MAX_TOKENS  # every row below the largest takes memory
    for what, numbers, end in zip(("item row", "word"), matrix, ends, strict=True):
        _refuse_ids(path, what, numbers, end)
    return int(matrix[0].max()) + 1


def matrix_modality(path: Path, matrix: np.ndarray, num_items: int) -> RawModality:
    """The modality of a matrix that `num_rows` has checked; an item without words misses it.

    Raises:
        UserError: it is no matrix of numbers.
    """
    if not _is_tokens(matrix):
        return array_modality(path, matrix)
    items = matrix[0].astype(np.int32)
    order, offsets = stable_order(items, num_items), row_offsets(items, num_items)

    def blocks() -> Iterator[FeatureBlock]:
        for start in range(0, num_items, BLOCK_ITEMS):
            part = offsets[start : start + BLOCK_ITEMS + 1]
            words = matrix[1][order[part[0] : part[-1]]].astype(np.int32)
            yield FeatureBlock(start, None, TokenLists(part - part[0], words), np.diff(part) > 0)

    size, place = int(matrix[1].max()) + 1, numbered(path, "item row")
    ids = pl.int_range(num_items, eager=True)
    return RawModality("tokens", size, "int32", place, blocks, row_keyed=True, items=lambda: [(ids, place)])


def _refuse_ids(path: Path, what: str, numbers: np.ndarray, end: int) -> None:
    wrong = (numbers < 0) | (numbers >= end)
    refuse_first(wrong, numbered(path, "column"), lambda k: f"{what} {numbers[k]} is not in [0, {end})")


def _is_tokens(matrix: np.ndarray) -> bool:
    return matrix.dtype.kind in "iu" and matrix.ndim == 2 and len(matrix) == 2 and matrix.size > 0


def _kind(value: object) -> str:
    return f"a {value.layout} one" if isinstance(value, torch.Tensor) else f"a {type(value).__name__}"
