"""Arrays as long as the interactions, kept on the disk: mapped files without a name.

They are arrays like all others. The system holds their pages in its cache while there is room and writes them out where
there is none, so a process's own memory does not grow with the interactions. A file goes with its last array, at the
latest with the process, however that ends.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.storage.space import explained, reserve
from dualgnn_dist.data.prepare.interactions import InteractionTable

ADVICE = "make room there, or choose another folder for the store"


class Scratch:
    """Where such arrays come from. All methods that make them raise UserError where the disk is full.

    Args:
        folder: takes the files.
        block_rows: how many rows a step that goes through them block by block holds in memory.
    """

    def __init__(self, folder: Path, block_rows: int) -> None:
        self.folder = folder
        self.block_rows = block_rows

    def blocks(self, num_rows: int) -> Iterator[slice]:
        """Slices that cover so many rows, in order; of no rows, an empty one."""
        for start in range(0, max(num_rows, 1), self.block_rows):
            yield slice(start, min(start + self.block_rows, num_rows))

    def empty(self, size: int, dtype: Any) -> np.ndarray:
        """An array to be filled."""
        num_bytes = size * np.dtype(dtype).itemsize
        with self._reporting(num_bytes), tempfile.TemporaryFile(dir=self.folder) as file:
            reserve(file.fileno(), num_bytes)
            return _mapped(file, size, dtype)

    def positions(self, num_rows: int) -> np.ndarray:
        """An array to be filled with row numbers: int32, or int64 where they need it."""
        return self.empty(num_rows, np.int32 if num_rows <= np.iinfo(np.int32).max else np.int64)

    def permutation(self, num_rows: int, generator: np.random.Generator) -> np.ndarray:
        """What `generator.permutation(num_rows)` gives."""
        order = self.positions(num_rows)
        for part in self.blocks(num_rows):
            order[part] = np.arange(part.start, part.stop)
        generator.shuffle(order)
        return order

    def stack(self, blocks: Iterable[InteractionTable]) -> InteractionTable:
        """The rows of blocks with the same columns, one block after the other."""
        files: dict[str, tuple[IO[bytes], np.dtype]] = {}
        num_rows = 0
        with ExitStack() as opened:
            for block in blocks:
                num_rows += len(block)
                with self._reporting():
                    for name, column in block.columns.items():
                        if name not in files:
                            file = opened.enter_context(tempfile.TemporaryFile(dir=self.folder))
                            files[name] = file, column.dtype
                        files[name][0].write(np.ascontiguousarray(column).data)
            with self._reporting():
                columns = {name: _mapped(file, num_rows, dtype) for name, (file, dtype) in files.items()}
        no_rows = np.empty(0, dtype=np.int32)
        return InteractionTable(**(columns or {"users": no_rows, "items": no_rows}))

    @contextmanager
    def _reporting(self, num_bytes: int | None = None) -> Iterator[None]:
        try:
            with explained(self.folder, num_bytes, ADVICE):
                yield
        except OSError as error:
            raise UserError(
                f"scratch files cannot be written in {self.folder} ({error.strerror}); make room there, or choose "
                "another folder for the store"
            ) from error


def _mapped(file: IO[bytes], size: int, dtype: Any) -> np.ndarray:
    if not size:  # an empty file cannot be mapped
        return np.empty(0, dtype=dtype)
    file.flush()
    return np.asarray(np.memmap(file, dtype=dtype, mode="r+", shape=(size,)))
