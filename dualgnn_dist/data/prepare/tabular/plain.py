"""A file's text as UTF-8 bytes: taken out of a ZIP archive, unpacked where it is compressed, decoded."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from dualgnn_dist.base.errors import UserError, nearest
from dualgnn_dist.data.prepare.reading import existing, readable
from dualgnn_dist.data.prepare.tabular.archive import archive_of, opened_member

MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}
"""What a compressed file begins with -> its kind; an ending says it to people, and may be wrong."""
COMPRESSED = (".gz", ".zst", ".bz2")
COMMON_ENCODINGS = ("utf-8", "latin-1", "cp1252", "iso-8859-15", "utf-16", "cp1251", "gb18030", "shift_jis", "euc_kr")
PIECE_BYTES = 1 << 20
NAME_ENCODING = "set prepare.options.encoding to what it is, often latin-1 or cp1252"


class Bytes(Protocol):
    """What is read from."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fills the beginning of a buffer; how many bytes, 0 at the end."""


def suffix_of(path: Path) -> str:
    """The ending of what a file holds, in small letters: `.csv` of `log.CSV.gz`."""
    name = Path(path.stem) if path.suffix.lower() in COMPRESSED else path
    return name.suffix.lower()


def encoding_of(name: str) -> str:
    """The encoding's own name. Raises ValueError where there is none of this name."""
    try:
        "".encode(name)  # there are codecs that are no encodings of text
        return codecs.lookup(name).name
    except (LookupError, ValueError) as error:
        raise ValueError(f"encoding={name!r} is no encoding{nearest(name, COMMON_ENCODINGS)}") from error


@contextmanager
def plain_text(path: Path, encoding: str = "utf-8") -> Iterator[Bytes]:
    """The text, to be read from its beginning. `archive.zip/name` is a member of an archive.

    Raises:
        UserError: the file cannot be opened or not be read on, is cut off, damaged or encrypted, or is not written in
            this encoding.
    """
    with _opened(path) as file:
        start = file.peek(4)
        kind = next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), None)
        text: Bytes = file if kind is None else pa.CompressedInputStream(pa.PythonFile(file, "r"), kind)
        yield text if encoding_of(encoding) == "utf-8" else _Decoded(text, path, encoding)


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedReader]:
    archive = archive_of(path)
    if archive is not None:
        with opened_member(archive, path) as member:
            yield io.BufferedReader(member, PIECE_BYTES)
        return
    with readable(path), existing(path).open("rb", buffering=0) as file:
        yield io.BufferedReader(file, PIECE_BYTES)


class _Decoded:
    """The bytes of a text in another encoding, as UTF-8."""

    def __init__(self, file: Bytes, path: Path, encoding: str) -> None:
        self._file, self._path, self._encoding = file, path, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._rest, self._is_over, self._num_read = memoryview(b""), False, 0

    def readinto(self, buffer: memoryview, /) -> int:
        """As of `Bytes`."""
        while not self._rest and not self._is_over:
            self._rest = memoryview(self._next())
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size

    def _next(self) -> bytes:
        piece = memoryview(bytearray(PIECE_BYTES))
        size = self._file.readinto(piece) or 0
        self._is_over = not size
        try:
            text = self._decoder.decode(piece[:size], final=not size)
            self._num_read += size
            return text.encode()
        except UnicodeError as error:
            place = f", within {PIECE_BYTES:,} bytes behind byte {self._num_read:,}"
            raise UserError(
                f"{self._path}{place}: this is not {self._encoding}; set prepare.options.encoding to what it is"
            ) from error
