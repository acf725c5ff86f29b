"""A file of JSON lines in columns: an object a line; what lies deeper goes by a dotted name, as `user.id`.

Values come as texts, as those of every text file do: whole numbers of any size with all their digits, other numbers as
the float64 that JSON knows, lists and objects as JSON. A key that an object lacks is null there; of one that it has
twice, the first counts.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import Place
from dualgnn_dist.data.prepare.reading import at_lines
from dualgnn_dist.data.prepare.tabular.ahead import ahead
from dualgnn_dist.data.prepare.tabular.chunks import Chunks
from dualgnn_dist.data.prepare.tabular.plain import NAME_ENCODING, plain_text

SAMPLE = 10_000  # lines whose keys are looked at
NEW_LINE = ord("\n")
NO_LINES = "this is one JSON array; write an object a line, as `jq -c '.[]'` does"


@dataclass(frozen=True)
class JsonLinesTable:
    """The objects of a file; every call of `blocks` reads them anew.

    Args:
        encoding: what the text is written in.
        known: the keys, where another file has said them.
    """

    path: Path
    encoding: str = "utf-8"
    known: tuple[str, ...] | None = None

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The keys of the first objects, deeper ones dotted. Raises UserError where the file holds none."""
        if self.known is not None:
            return self.known
        names: dict[str, None] = {}
        with plain_text(self.path, self.encoding) as file:
            objects = (self._parsed(line, number) for number, line in _lines(Chunks(self.path, file)))
            for record in islice(objects, SAMPLE):
                names.update(dict.fromkeys(_names(record)))
        if not names:
            raise UserError(f"{self.path} cannot be read: it holds no JSON object")
        return tuple(names)

    def blocks(self, names: Mapping[str, str], num_rows: int) -> Iterator[tuple[pl.DataFrame, Place]]:
        """As of `TextTable`.

        Raises:
            UserError: a line is neither blank nor a JSON object, or holds something else than an object where a dotted
                name goes deeper.
        """
        for name in names.values():
            deeper = next((other for other in names.values() if other.startswith(f"{name}.")), None)
            if deeper is not None:
                raise UserError(f"{self.path}: {name!r} holds {deeper!r}, and both are read; name what is within it")
        schema, values = _wanted(self.columns, list(names.values()))
        chosen = {name: values[of] for name, of in names.items()}
        with plain_text(self.path, self.encoding) as file:
            for lines, first in ahead(_pieces(Chunks(self.path, file))):
                frame, numbers = self._frame(lines, first, schema)
                frame = frame.select(**chosen)
                for start in range(0, len(frame), num_rows):
                    rows = slice(start, start + num_rows)
                    yield frame[rows], at_lines(self.path, numbers[rows])

    def _frame(self, lines: np.ndarray, first: int, schema: dict[str, Any]) -> tuple[pl.DataFrame, np.ndarray]:
        """The objects of whole lines, and the number of the line of each."""
        text = lines.tobytes()
        numbers = np.arange(first, first + text.count(b"\n") + (not text.endswith(b"\n")))
        try:
            frame = pl.read_ndjson(io.BytesIO(text), schema=schema)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            self._refuse(text, first, schema, error)
        if len(frame) < len(numbers):  # blank lines are no data
            is_record = np.fromiter((bool(line.strip()) for line in text.split(b"\n")), dtype=bool)
            numbers = numbers[is_record[: len(numbers)]]
        if len(frame) != len(numbers):
            self._refuse(text, first, schema, None)
        return frame, numbers

    def _refuse(self, text: bytes, first: int, schema: dict[str, Any], error: BaseException | None) -> NoReturn:
        """Names the first line that is wrong."""
        for number, line in enumerate(text.split(b"\n"), first):
            if not line.strip():
                continue
            record = self._parsed(line, number)
            try:
                pl.read_ndjson(io.BytesIO(line), schema=schema)
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as cause:
                deeper = [name for name, dtype in schema.items() if isinstance(dtype, pl.Struct)]
                flat = [name for name in deeper if not isinstance(record.get(name), dict | None)]
                words = f"{flat[0]!r} is no object" if flat else " ".join(str(cause).split())[:200]
                raise UserError(f"{self.path}, line {number}: {words}") from cause
        raise UserError(f"{self.path} cannot be read: {error or 'its lines and its objects differ in number'}")

    def _parsed(self, line: bytes, number: int) -> dict[str, Any]:
        where = f"{self.path}, line {number}: "
        try:
            record = json.loads(line.decode(), parse_constant=_no_constant)
        except UnicodeDecodeError as error:
            raise UserError(f"{where}{line[:40].strip()!r} is not UTF-8; {NAME_ENCODING}") from error
        except (ValueError, RecursionError) as error:
            if number == 1 and line.lstrip()[:1] == b"[":
                raise UserError(where + NO_LINES) from error
            python = "; this is Python's notation: read it with ast.literal_eval, write it with json.dumps"
            cure = python if line.lstrip().startswith(b"{'") else ""
            raise UserError(f"{where}{line[:40].strip()!r} is no JSON object: {error}{cure}") from error
        if isinstance(record, list) and number == 1:
            raise UserError(where + NO_LINES)
        if not isinstance(record, dict):
            raise UserError(f"{where}{line[:40].strip()!r} is no JSON object")
        return record


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _names(record: Mapping[str, Any]) -> Iterator[str]:
    """The keys; of an object within, its own behind a dot too."""
    for key, value in record.items():
        yield key
        if isinstance(value, dict):
            yield from (f"{key}.{name}" for name in _names(value))


def _wanted(columns: Sequence[str], names: Sequence[str]) -> tuple[dict[str, Any], dict[str, pl.Expr]]:
    """The schema that holds these columns, and how each is taken out of it; a key with a dot in it is itself."""
    tree: dict[str, Any] = {}
    values = {}
    for name in dict.fromkeys(names):
        head = name.partition(".")[0]
        keys = name.split(".") if head in columns and head != name else [name]
        branch, value = tree, pl.col(keys[0])
        for key in keys[:-1]:
            branch = branch.setdefault(key, {})
        branch.setdefault(keys[-1], None)
        for key in keys[1:]:
            value = value.struct.field(key)
        values[name] = value
    return _schema(tree), values


def _schema(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {key: pl.Struct(_schema(below)) if below else pl.String for key, below in tree.items()}


def _pieces(chunks: Chunks) -> Iterator[tuple[np.ndarray, int]]:
    """Whole lines with the number of the first."""
    while len(chunks.text) or not chunks.is_last:
        breaks = np.flatnonzero(chunks.text == NEW_LINE)
        size = len(chunks.text) if chunks.is_last else int(breaks[-1]) + 1 if len(breaks) else 0
        if size:
            yield chunks.text[:size], chunks.line
        chunks.advance(size, len(breaks))


def _lines(chunks: Chunks) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers."""
    for piece, first in _pieces(chunks):
        for number, line in enumerate(io.BytesIO(piece.tobytes()), first):
            if line.strip():
                yield number, line
