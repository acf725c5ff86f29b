"""How a text file is written: its encoding, what stands between its values, and whether its first line names them."""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.readers.iso import LOOKS_RIGHT
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.tabular.opening import SEPARATORS, TextOptions
from dualgnn_dist.data.prepare.tabular.plain import PIECE_BYTES, plain_text, suffix_of

HEAD_BYTES = 1 << 16  # what shows how a file is written
MOST_USUAL = (",", "\t", ";", "|")
MARKS_OF_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
ENOUGH = 0.9  # of the records have as many values as most


def encoding_in(path: Path) -> str:
    """UTF-8 where the whole file is; else what it most likely is."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8, has_marks, is_first = True, False, True
    with plain_text(path) as file:
        piece = memoryview(bytearray(PIECE_BYTES))
        while size := file.readinto(piece) or 0:
            text = bytes(piece[:size])
            if is_first and text.startswith(MARKS_OF_UTF16):
                return "utf-16"
            is_first = False
            if is_utf8:
                try:
                    decoder.decode(text)
                except UnicodeDecodeError:
                    is_utf8 = False
            if not is_utf8 and text.translate(None, bytes(range(0x80, 0xA0))) != text:
                has_marks = True  # where Latin-1 has control characters, Windows has quotation marks and the euro
    return "utf-8" if is_utf8 else "cp1252" if has_marks else "latin-1"


def layout_of(path: Path) -> TextOptions:
    """How a text file is written, as far as its ending does not say it.

    Raises:
        UserError: it cannot be read, or no character stands between values.
    """
    encoding = encoding_in(path)
    head = _head(path, encoding)
    separator = _separator(path, head)
    records = _records(head, separator)
    columns = None
    if _is_headerless(records):
        columns = tuple(f"column_{number}" for number in range(1, len(records[0]) + 1))
    usual = SEPARATORS.get(suffix_of(path))
    return TextOptions(None if separator == usual else separator, encoding=encoding, columns=columns)


def _head(path: Path, encoding: str) -> list[str]:
    text = bytearray()
    with plain_text(path, encoding) as file:
        piece = memoryview(bytearray(HEAD_BYTES))
        while len(text) < HEAD_BYTES and (size := file.readinto(piece) or 0):
            text += piece[:size]
    lines = text.decode("utf-8-sig", "ignore").splitlines(keepends=True)
    lines = lines[:-1] if len(text) >= HEAD_BYTES and len(lines) > 1 else lines
    if not any(line.strip() for line in lines):
        raise UserError(f"{path} cannot be inspected: it is empty")
    if "\0" in lines[0]:
        raise UserError(f"{path} cannot be inspected: it is neither a text nor named as what it is, as .parquet")
    if lines[0].startswith(("{", "[{")):
        raise UserError(f"{path} cannot be inspected: it holds JSON; name it .jsonl, with an object a line")
    return lines


def _separator(path: Path, head: Sequence[str]) -> str:
    def fit(separator: str) -> tuple[float, int]:
        widths = Counter(len(record) for record in _records(head, separator))
        width, count = max(widths.items(), key=lambda pair: (pair[1], pair[0]), default=(0, 0))
        share = count / max(widths.total(), 1)
        return (1.0 if share >= ENOUGH else share, width) if width > 1 else (0.0, width)

    fits = {separator: fit(separator) for separator in MOST_USUAL}
    best = max(fits, key=lambda separator: (*fits[separator], separator == SEPARATORS.get(suffix_of(path))))
    if fits[best][0] < ENOUGH and fit(" ")[0] >= ENOUGH:
        return " "
    if fits[best][1] < 2:
        raise UserError(
            f"{path} cannot be inspected: its lines are single values, none of {' '.join(map(repr, MOST_USUAL))} "
            f"stands between several ({head[0].strip()[:60]!r}); an interaction has at least a user and an item"
        )
    return best


def _records(head: Sequence[str], separator: str) -> list[list[str]]:
    try:
        return [record for record in csv.reader(head, delimiter=separator) if record]
    except csv.Error:
        return []


def _is_headerless(records: Sequence[Sequence[str]]) -> bool:
    """A name is no number, no date, and does not stand among the values of its own column."""
    names = pl.Series([name.strip() for name in records[0]], dtype=pl.String)
    if len(names.filter(names != "")) and (names.str.contains(LOOKS_RIGHT) | _are_numbers(names)).any():
        return True
    columns = zip(*(record for record in records if len(record) == len(names)), strict=True)
    return any(column[0] in column[1:] for column in columns if column[0])


def _are_numbers(texts: pl.Series) -> pl.Series:
    return texts.cast(pl.Float64, strict=False).is_not_null()
