"""A text file's bytes, piece by piece, so that no file has to fit the memory."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dualgnn_dist.base.errors import UserError

CHUNK_BYTES = 1 << 26  # in memory at once; no record may be longer
OTHER_ENCODINGS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}


class Chunks:
    """What of a file has been read and not been gone through yet.

    Attributes:
        text: uint8, from the beginning of a line.
        line: the number of that line in the file, from 1.
        is_last: the file has nothing behind `text`.

    Raises:
        UserError: the file begins with the byte-order mark of another encoding than UTF-8; that of UTF-8 is left out.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self._file, self.line = path, file, 1
        self.text, self.is_last = np.empty(0, dtype=np.uint8), False
        self.read_on()
        start = self.text[:3].tobytes()
        for mark, name in OTHER_ENCODINGS.items():
            if start.startswith(mark):
                raise UserError(f"{path} is written in {name}; save it as UTF-8")
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
        if size >= CHUNK_BYTES:
            raise UserError(
                f"{self.path}, line {self.line}: a record of more than {CHUNK_BYTES:,} bytes; is this a text file?"
            )
        buffer = np.empty(CHUNK_BYTES, dtype=np.uint8)  # untouched pages cost nothing
        buffer[:size] = self.text
        while size < CHUNK_BYTES and (num_read := self._file.readinto(buffer[size:].data)):  # type: ignore[attr-defined]
            size += num_read
        self.text, self.is_last = buffer[:size], size < CHUNK_BYTES
