"""A text's bytes, piece by piece, so that no file has to fit the memory."""

from __future__ import annotations

import codecs
from pathlib import Path

import numpy as np

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.tabular.plain import Bytes

HEADER_BYTES = 1 << 22  # so that a header costs no more than it must
CHUNK_BYTES = 1 << 26  # in memory at once; no record may be longer
NO_TEXTS = {  # what a file begins with -> what it is, and what to do
    codecs.BOM_UTF16_LE: "is written in UTF-16; set prepare.options.encoding=utf-16, or save it as UTF-8",
    codecs.BOM_UTF16_BE: "is written in UTF-16; set prepare.options.encoding=utf-16, or save it as UTF-8",
    b"\x1f\x8b": "is compressed twice; unpack it once",
    b"\x28\xb5\x2f": "is compressed twice; unpack it once",
    b"\xfd7z": "is compressed by xz; unpack it first, or compress it by zstd",
    b"PK\x03": "is a ZIP archive; unpack it first",
    b"PAR": "is a Parquet file; name it .parquet",
}


class Chunks:
    """What of a file has been read and not been gone through yet.

    Args:
        size: bytes in memory at once, None: `CHUNK_BYTES`.

    Attributes:
        text: uint8, from the beginning of a line.
        line: the number of that line in the file, from 1.
        is_last: the file has nothing behind `text`.

    Raises:
        UserError: the file begins as no UTF-8 text does. The byte-order mark of UTF-8 is left out.
    """

    def __init__(self, path: Path, file: Bytes, size: int | None = None) -> None:
        self.path, self._file, self.line = path, file, 1
        self._size = size or CHUNK_BYTES
        self.text, self.is_last = np.empty(0, dtype=np.uint8), False
        self.read_on()
        start = self.text[:3].tobytes()
        for mark, words in NO_TEXTS.items():
            if start.startswith(mark):
                raise UserError(f"{path} {words}")
        if start == codecs.BOM_UTF8:
            self.text = self.text[3:]

    def advance(self, num_bytes: int, num_lines: int) -> None:
        """Leaves behind what was gone through; reads on where it was nothing: `text` ends in the midst of a record."""
        self.text, self.line = self.text[num_bytes:], self.line + num_lines
        if not num_bytes:
            self.read_on()

    def read_on(self) -> None:
        """Puts the file's next piece behind what is left. Raises UserError where that is too long for a record."""
        size = len(self.text)
        if size >= self._size:
            raise UserError(
                f"{self.path}, line {self.line}: a record of more than {self._size:,} bytes; is this a text file?"
            )
        buffer = np.empty(self._size, dtype=np.uint8)  # untouched pages cost nothing
        buffer[:size] = self.text
        while size < self._size and (num_read := self._file.readinto(buffer[size:].data)):
            size += num_read
        self.text, self.is_last = buffer[:size], size < self._size
