"""A matrix in a file of several arrays: `.npz` of NumPy, `.safetensors`. Nothing in them is unpickled.

Safetensors are 8 bytes with the length of a JSON header, the header, and the numbers of every tensor as they lie in
memory: mapped here without the library of that name, which would hand out copies.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from dualgnn_dist.base.errors import UserError, nearest
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import RawModality
from dualgnn_dist.data.prepare.reading import dense_modality, existing, readable
from dualgnn_dist.data.prepare.tabular.archive import opened_archive, opened_member

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1"}
BFLOAT16 = "BF16"
MAX_HEADER = 100_000_000  # bytes, what the format itself allows


@dataclass(frozen=True)
class StoredArray:
    """An array in a file.

    Args:
        path: of the file, and the array's name.
        chunks: its rows, at most so many at once; read anew with every call.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    chunks: Callable[[int], Iterator[np.ndarray]]

    def modality(self, items: pl.Series | None) -> RawModality:
        """As `reading.dense_modality`."""
        return dense_modality(self.path, self.shape, self.dtype, self.chunks, items)

    def whole(self) -> np.ndarray:
        """All of it, for what is small."""
        return np.concatenate([*self.chunks(max(1, self.shape[0] if self.shape else 1))])


def stored_array(path: Path, name: str | None) -> StoredArray:
    """An array of a `.npz` or `.safetensors` file.

    Args:
        name: of the array; None: the only one.

    Raises:
        UserError: the file is damaged or missing, or has no such array; one of objects or of a type that has no NumPy.
    """
    existing(path)
    names = array_names(path)
    if name is None and len(names) != 1:
        listed = ", ".join(names[:20]) or "none"
        raise UserError(f"{path} holds the arrays {listed}; name one, as {{file: {path.name}, column: NAME}}")
    chosen = names[0] if name is None else name
    if chosen not in names:
        raise UserError(f"{path} holds no array {chosen!r}{nearest(chosen, names)}")
    return _of_npz(path, chosen) if path.suffix == ".npz" else _of_safetensors(path, chosen)


def array_names(path: Path) -> list[str]:
    """The arrays of a file."""
    if path.suffix == ".npz":
        with opened_archive(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    return [name for name in _header(path)[0] if name != "__metadata__"]


def _of_npz(path: Path, name: str) -> StoredArray:
    with _opened(path, name) as file:
        shape, is_fortran, dtype = _npy_header(file)
    if (is_fortran and len(shape) > 1) or dtype.hasobject:
        what = "Python objects" if dtype.hasobject else "columns one after the other; save numpy.ascontiguousarray()"
        raise UserError(f"{path}: the array {name!r} holds {what}")

    def chunks(num_rows: int) -> Iterator[np.ndarray]:
        row_bytes = dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64))
        with _opened(path, name) as file:
            _npy_header(file)
            for start in range(0, shape[0] if shape else 0, num_rows):
                size = min(num_rows, shape[0] - start)
                text = file.read(size * row_bytes)
                if len(text) != size * row_bytes:
                    raise EOFError("it ends early")
                yield np.frombuffer(text, dtype).reshape(size, *shape[1:])
            file.read(1)  # at its end the archive compares the checksum

    return StoredArray(path / name, shape, dtype, chunks)


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    header: tuple[tuple[int, ...], bool, np.dtype] = read(file)
    return header


def _of_safetensors(path: Path, name: str) -> StoredArray:
    header, start = _header(path)
    tensor = header[name]
    try:
        shape, kind = tuple(int(size) for size in tensor["shape"]), str(tensor["dtype"])
        begin, end = (int(place) for place in tensor["data_offsets"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: its header says of {name!r} {str(tensor)[:80]}, which is no tensor") from error
    dtype = np.dtype("<u2" if kind == BFLOAT16 else DTYPES.get(kind, "O"))
    if dtype.hasobject:
        raise UserError(f"{path}: the tensor {name!r} holds {kind}; save it as one of {', '.join(DTYPES)}, {BFLOAT16}")
    num_bytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if min(shape, default=0) < 0 or not 0 <= begin <= end or end - begin != num_bytes:
        raise UserError(f"{path} is damaged: its header gives {name!r} {end - begin:,} bytes, its shape {num_bytes:,}")

    def chunks(num_rows: int) -> Iterator[np.ndarray]:
        with readable(path):
            mapped = np.memmap(path, dtype, "r", start + begin, shape) if num_bytes else np.empty(shape, dtype)
        for first in range(0, len(mapped), num_rows):
            chunk = mapped[first : first + num_rows]
            yield (chunk.astype(np.uint32) << 16).view(np.float32) if kind == BFLOAT16 else chunk

    return StoredArray(path / name, shape, np.dtype(np.float32) if kind == BFLOAT16 else dtype, chunks)


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """Of a `.safetensors` file, and where the numbers begin."""
    with readable(path), path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if not 0 < size <= min(MAX_HEADER, path.stat().st_size):
            raise UserError(f"{path} is no safetensors file, or a damaged one: its header would have {size:,} bytes")
        try:
            header = json.loads(file.read(size))
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path} is no safetensors file, or a damaged one: {error}") from error
    try:
        ends = [int(tensor["data_offsets"][1]) for name, tensor in header.items() if name != "__metadata__"]
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"{path} is no safetensors file: its header is no mapping of tensors") from error
    num_bytes = 8 + size + max(ends, default=0)
    if num_bytes != path.stat().st_size:
        raise UserError(f"{path} is cut off or damaged: its header promises {num_bytes:,} bytes; save it again")
    return header, 8 + size


@contextmanager
def _opened(path: Path, name: str) -> Iterator[IO[bytes]]:
    """An array of a `.npz` file as it was saved, and a refusal of what is none."""
    with opened_member(path, path / f"{name}.npy") as member:
        try:
            yield io.BufferedReader(member)
        except UserError:
            raise
        except (ValueError, SyntaxError, EOFError, OverflowError, RecursionError, TypeError) as error:
            words = " ".join(str(error).split())[:200] or type(error).__name__
            raise UserError(f"{path} is no .npz file of numbers, or a damaged one: {words}") from error
