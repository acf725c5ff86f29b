"""A text file in columns: its header, its records in blocks, and the refusal of whatever is no record.

Every text file of every format is read here, so that all of them mean the same by a line: blank ones and a byte-order
mark are no data, a record has as many values as the header, and what cannot be read is refused with its line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.reading import Place, at_lines
from dualgnn_dist.data.prepare.tabular import records
from dualgnn_dist.data.prepare.tabular.ahead import ahead
from dualgnn_dist.data.prepare.tabular.chunks import HEADER_BYTES, Chunks
from dualgnn_dist.data.prepare.tabular.plain import NAME_ENCODING, plain_text

Quotes = Literal["one_line", "many_lines", "none"]
QUOTES = {"none": records.NO_QUOTES, "one_line": records.ONE_LINE, "many_lines": records.MANY_LINES}
MAX_COLUMNS = 1 << 14  # of a header


@dataclass(frozen=True)
class TextTable:
    """The records of a text file; every call of `blocks` reads them anew.

    Args:
        separator: between values; at most two bytes; empty: a record is one value.
        quotes: whether a value between quotation marks may hold separators, and line breaks too.
        names: of the columns, where no line of the file says them.
        encoding: what the text is written in; None: UTF-8, and the format has no option for another.
    """

    path: Path
    separator: str
    quotes: Quotes = "none"
    names: tuple[str, ...] | None = None
    encoding: str | None = None

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, without blanks around them. Raises UserError where there is no header."""
        if self.names is not None:
            return self.names
        with plain_text(self.path, self.encoding or "utf-8") as file:
            for texts, _ in _blocks(self, Chunks(self.path, file, HEADER_BYTES), range(MAX_COLUMNS), -1, 1):
                header = ["" if column[0] is None else column[0].strip() for column in texts]
                if any("\r" in name for name in header):
                    raise UserError(f"{self.path}: lines end with a carriage return alone; save it with line feeds")
                return tuple(header)
        raise UserError(f"{self.path} cannot be read: it is empty; its first line must name the columns")

    def blocks(self, names: Mapping[str, str], num_rows: int) -> Iterator[tuple[pl.DataFrame, Place]]:
        """Chosen columns as texts, in blocks of at most so many records, with their lines in words.

        Args:
            names: what a column is called in the block -> its name in the file, one of `columns`.

        Raises:
            UserError: several columns of one name; a record with more or fewer values than there are columns;
                quotation marks that do not close, a NUL byte, or what is not UTF-8.
        """
        for name in names.values():
            if self.columns.count(name) > 1:
                raise UserError(f"{self.path}, line 1: several columns are called {name!r}; give each its own name")
        wanted = sorted({self.columns.index(name) for name in names.values()})
        with plain_text(self.path, self.encoding or "utf-8") as file:
            chunks = Chunks(self.path, file)
            if self.names is None:
                next(_blocks(self, chunks, [], -1, 1), None)
            for texts, lines in ahead(_blocks(self, chunks, wanted, len(self.columns), num_rows)):
                columns = {name: texts[wanted.index(self.columns.index(of))] for name, of in names.items()}
                yield pl.DataFrame(columns), at_lines(self.path, lines)


def _blocks(
    table: TextTable, chunks: Chunks, wanted: Sequence[int], width: int, num_rows: int
) -> Iterator[tuple[list[pl.Series], np.ndarray]]:
    """(The wanted values, the lines) of the records that come; with a width of -1 of a header, which may have any."""
    slots = np.full(max(width, len(wanted)), -1, dtype=np.int64)
    slots[list(wanted)] = np.arange(len(wanted))
    first, second = [*table.separator.encode(), -1, -1][:2]
    places = [np.empty((len(wanted), num_rows), dtype=dtype) for dtype in (np.int64, np.int64, np.int8)]
    lines = np.empty(num_rows, dtype=np.int64)
    while len(chunks.text) or not chunks.is_last:
        text, line = chunks.text, chunks.line
        size, num_bytes, num_lines, problem, num_values = records.find_records(
            text, chunks.is_last, first, second, QUOTES[table.quotes], width, slots, *places, lines
        )
        if size:
            numbers = lines[:size] + line
            columns = range(len(wanted) if width >= 0 else min(num_values, len(wanted)))
            values = (records.values_of(text, *(place[k, :size] for place in places)) for k in columns)
            texts = [_texts(column, table, numbers) for column in values]
            chunks.advance(num_bytes, num_lines)
            yield texts, numbers
        if problem != records.FINE:
            raise UserError(f"{table.path}, line {line + num_lines}: {_words(table, problem, num_values, width)}")
        if not size:
            chunks.advance(num_bytes, num_lines)


def _texts(values: pa.Array, table: TextTable, lines: np.ndarray) -> pl.Series:
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        for line, value in zip(lines, values.cast(pa.large_binary()), strict=True):
            try:
                str(value.as_py() or b"", "utf-8")
            except UnicodeDecodeError as error:
                cure = NAME_ENCODING
                if table.encoding is None:
                    cure = "save the file in that encoding, as with `iconv -f LATIN1 -t UTF-8`"
                raise UserError(f"{table.path}, line {line}: {value.as_py()[:40]!r} is not UTF-8; {cure}") from error
        raise
    return pl.Series(pl.from_arrow(values))


def _words(table: TextTable, problem: int, num_values: int, width: int) -> str:
    """What is wrong with a record, and what to do."""
    if problem == records.NUL:
        return "there is a NUL byte, so this is no text, a damaged one, or UTF-16; save it as UTF-8"
    if problem == records.RAGGED:
        cure = "" if table.quotes == "none" else "; put a value that holds one between quotation marks"
        return f"there are {num_values} values with {table.separator!r} between them, but {width} columns{cure}"
    cure = "set prepare.options.quotes to none where these marks are text"
    if problem == records.AFTER_QUOTE:
        return f"something stands behind the quotation mark that ends a value; {cure}"
    if table.quotes == "one_line":
        cure += ", to many_lines where values hold line breaks"
    return f"a value begins with a quotation mark and does not end with one; {cure}"
