"""How formats read their files, and the refusals that all of them share: each says where, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dualgnn_dist.base.errors import UserError, nearest
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import FeatureBlock, Place, RawModality
from dualgnn_dist.data.prepare.tabular.header import hint

BLOCK_BYTES = 1 << 26  # features a block
EXACT = float(1 << 53)  # of a float64, whole numbers above it are rounded
NAME_ITEMS = (
    "name their items with prepare.modalities={{{name}: {{file: {file}, items: IDS}}}}, IDS a file with an id a row"
)
SHOWN = 5  # files of a folder, in a message
EMPTY = "{} is empty; fill it in, or remove the row"


def existing(path: Path) -> Path:
    """The path of a file that is there.

    Raises:
        UserError: it is not, or it is no plain file; names the nearest file that is.
    """
    with readable(path):
        if path.is_file():
            return path
        if path.is_dir():
            names = [file.name for file in sorted(path.iterdir()) if file.is_file()]
            there = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")
            raise UserError(f"{path} is a folder; name a file in it: {there or 'there is none'}")
        if path.exists():
            raise UserError(f"{path} is a pipe or a device; name a plain file")
        if not path.parent.is_dir():
            raise UserError(f"{path} does not exist: there is no folder {path.parent}")
        raise UserError(f"{path} does not exist{nearest(path.name, (file.name for file in path.parent.iterdir()))}")


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file that is there. Raises UserError where it cannot be opened, or not be read on."""
    with readable(path), existing(path).open("rb", buffering=0) as file:
        yield file


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raises UserError where what is done with the file finds that it cannot be read."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        # polars panics on some damaged Parquet footers, and a panic is no `Exception`.
        words = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise UserError(f"{path} cannot be read: {words}") from error


def columns_of(frame: pl.LazyFrame, path: Path) -> pl.Schema:
    """The file's columns and their types. Raises UserError where it cannot be read."""
    with readable(path):
        return frame.collect_schema()


def collect(frame: pl.LazyFrame, path: Path) -> pl.DataFrame:
    """The file's rows at once. Raises UserError where it cannot be read."""
    with readable(path):
        return frame.collect()


def require_columns(path: Path, columns: Iterable[str], names: Iterable[str], cure: str = "") -> None:
    """Raises UserError for the first of `names` that is not among the file's columns."""
    columns = list(columns)
    for name in names:
        if name not in columns:
            raise UserError(f"{path} has no column {name!r}{nearest(name, columns)}{hint(columns)}{cure}")


def batches(frame: pl.LazyFrame, path: Path, num_rows: int) -> Iterator[pl.DataFrame]:
    """The file's rows in blocks, in their order. Raises UserError where it cannot be read."""
    with readable(path):
        yield from frame.collect_batches(chunk_size=num_rows, maintain_order=True)


def numbered(path: Path, unit: str, first: int = 0) -> Place:
    """The rows of a block in words, `path, unit 7`; `first` is the number of its first row."""
    return lambda row: f"{path}, {unit} {first + row}"


def at_lines(path: Path, numbers: pl.Series | np.ndarray) -> Place:
    """The rows of a block in words, by the lines that they stand on."""
    return lambda row: f"{path}, line {numbers[row]}"


def required_folder(input: str | None, format: str) -> Path:
    """The input folder of a format that needs one."""
    if input is None:
        raise UserError(f"the format {format!r} needs prepare.input, the folder of its files")
    folder = Path(input)
    with readable(folder):
        if folder.is_file():
            raise UserError(
                f"prepare.input={input} is a file; the format {format!r} takes its folder: "
                f"prepare.input={folder.parent}, or look at it with `python -m dualgnn_dist.prepare --inspect {input}`"
            )
        if not folder.is_dir():
            siblings = [path.name for path in folder.parent.iterdir()] if folder.parent.is_dir() else []
            raise UserError(f"prepare.input={input} is not a folder{nearest(folder.name, siblings)}")
    return folder


def refuse_first(wrong: pl.Series | np.ndarray, place: Place, say: Callable[[int], str]) -> None:
    """Raises UserError for the first row that is wrong: where it is, and `say(row)`."""
    if wrong.any():
        row = int(np.argmax(np.asarray(wrong)))
        raise UserError(f"{place(row)}: {say(row)}")


def chosen_rows(block: pl.DataFrame, chosen: pl.Series, place: Place) -> tuple[pl.DataFrame, Place]:
    """The rows of a block for which a Boolean column is true, with their places in words."""
    if chosen.all():
        return block, place
    rows = np.flatnonzero(chosen.to_numpy())
    return block.filter(chosen), lambda row: place(int(rows[row]))


def row_numbers(column: pl.Series, name: str, place: Place, cure: str = "") -> pl.Series:
    """`column` as Int64 values of at least 0.

    Raises:
        UserError: a value that is no whole number, or a negative one; says where.
    """
    numbers = column.cast(pl.Int64, strict=False)
    if column.dtype.is_float():
        is_exact = (numbers.cast(column.dtype) == column) & (column < EXACT)
        numbers = pl.select(pl.when(is_exact).then(numbers)).to_series()
    wrong = numbers.is_null() | (numbers < 0).fill_null(True)

    def say(row: int) -> str:
        value = column[row]
        if value is None:
            return EMPTY.format(name)
        if column.dtype.is_float() and value >= EXACT:
            return f"{name} {value!r} is a floating-point number, which holds no id above 2^53; write ids as integers"
        return f"{name} {value!r} is not a whole number of at least 0 and below 2^63{cure}"

    refuse_first(wrong, place, say)
    return numbers


def npy_array(path: Path) -> np.ndarray:
    """The array of a `.npy` file, mapped, never unpickled. Raises UserError where the file is missing or none."""
    try:
        with readable(path):
            array = np.load(existing(path), mmap_mode="r", allow_pickle=False)
    except UserError:
        raise
    except Exception as error:  # any that the header's author could provoke: sizes that overflow, syntax that is none
        words = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path} is not a .npy file of numbers ({words})") from error
    if not isinstance(array, np.ndarray):
        array.close()
        raise UserError(f"{path} is a .npz archive; save one array of it with numpy.save")
    if isinstance(array, np.memmap) and array.offset + array.nbytes < path.stat().st_size:
        raise UserError(f"{path} goes on behind the {list(array.shape)} values that its header names; save it again")
    return array


def array_modality(path: Path, array: np.ndarray, items: pl.Series | None = None) -> RawModality:
    """A dense modality from the array [items, D] of a file; see `dense_modality`."""
    return dense_modality(
        path,
        array.shape,
        array.dtype,
        lambda num_rows: (array[start : start + num_rows] for start in range(0, len(array), num_rows)),
        items,
    )


def dense_modality(
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype,
    chunks: Callable[[int], Iterator[np.ndarray]],
    items: pl.Series | None,
) -> RawModality:
    """A dense modality from a matrix [items, D] that comes in chunks.

    Args:
        chunks: its rows, so many at once, the last may be fewer; read anew with every call.
        items: the item id of every row; None where a row's number is its item's id.

    Raises:
        UserError: it is no matrix of numbers, or there are more or fewer ids than rows.
    """
    if len(shape) != 2 or 0 in shape or dtype.kind not in "fiu":
        raise UserError(f"{path} must hold numbers of shape [items, D], not {dtype} {list(shape)}")
    num_items, dimension = shape
    if items is not None and len(items) != num_items:
        raise UserError(f"{path} has {num_items} rows, but there are {len(items)} item ids for them")
    num_rows = max(1, BLOCK_BYTES // (dimension * dtype.itemsize))

    def blocks() -> Iterator[FeatureBlock]:
        for number, chunk in enumerate(chunks(num_rows)):
            start = number * num_rows
            yield FeatureBlock(start, None if items is None else items[start : start + num_rows], chunk)

    stored, place = "float16" if dtype == np.float16 else "float32", numbered(path, "row")
    ids = pl.int_range(num_items, eager=True) if items is None else items
    return RawModality("dense", dimension, stored, place, blocks, items is None, items=lambda: [(ids, place)])
