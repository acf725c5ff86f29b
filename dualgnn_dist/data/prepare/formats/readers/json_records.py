"""A text file of one JSON object a line, in columns by key."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import Place
from dualgnn_dist.data.prepare.reading import opened
from dualgnn_dist.data.prepare.tabular.archive import Stream
from dualgnn_dist.data.prepare.tabular.text import TextTable


@contextmanager
def unpacked(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, without gzip where its name ends with `.gz`."""
    with opened(path) as file:
        if path.suffix != ".gz":
            yield file
            return
        with gzip.GzipFile(fileobj=file) as text:
            yield cast(BinaryIO, Stream(path, cast(IO[bytes], text)))


@dataclass(frozen=True)
class JsonRecords:
    """The objects of a file; every call of `blocks` reads them anew.

    Args:
        lists: the keys whose values are lists of texts; those of all others come as texts.
    """

    path: Path
    lists: frozenset[str] = frozenset()

    @cached_property
    def first(self) -> Mapping[str, Any]:
        """The first object. Raises UserError where there is none."""
        for block, place in self._lines(1):
            return _object(block["line"][0], place(0))
        raise UserError(f"{self.path} cannot be read: it is empty; it must hold one JSON object a line")

    @property
    def columns(self) -> tuple[str, ...]:
        """The keys of the first object."""
        return tuple(self.first)

    def blocks(self, names: Mapping[str, str], num_rows: int) -> Iterator[tuple[pl.DataFrame, Place]]:
        """As of `Rows`; what an object does not have is null. Raises UserError for a line that is no object."""
        keys = {key: pl.List(pl.String) if key in self.lists else pl.String for key in names.values()}
        for block, place in self._lines(num_rows):
            try:
                objects = block["line"].str.json_decode(pl.Struct(keys))
            except pl.exceptions.PolarsError as error:
                for row, line in enumerate(block["line"]):
                    _object(line, place(row))
                words = " ".join(str(error).split())[:200]
                raise UserError(f"{place(0)} and the lines that follow cannot be read as JSON: {words}") from error
            values = objects.struct.unnest()
            yield values.select(pl.col(key).alias(name) for name, key in names.items()), place

    def _lines(self, num_rows: int) -> Iterator[tuple[pl.DataFrame, Place]]:
        return TextTable(self.path, "", names=("line",), open=unpacked).blocks({"line": "line"}, num_rows)


def _object(line: str | None, place: str) -> Mapping[str, Any]:
    parse: Callable[[str], Any] = json.loads
    text = line or ""
    try:
        value = parse(text)
    except (ValueError, RecursionError) as error:
        python = "; it is written in Python's notation: read it with ast.literal_eval, write it with json.dumps"
        cure = python if text.startswith("{'") else ""
        raise UserError(f"{place}: {text[:40]!r} is no JSON{cure}") from error
    if not isinstance(value, dict):
        raise UserError(f"{place}: {text[:40]!r} is no JSON object")
    return value
