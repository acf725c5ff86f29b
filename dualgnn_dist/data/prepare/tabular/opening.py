"""A file by its ending: the kind of rows that it holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.tabular.parquet import ParquetTable
from dualgnn_dist.data.prepare.tabular.rows import Rows
from dualgnn_dist.data.prepare.tabular.text import Quotes, TextTable

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t", ".inter": "\t"}


@dataclass(frozen=True)
class TextOptions:
    """What the ending of a text file does not say.

    Args:
        separator: of its values; None goes by the ending.
        quotes: as of `TextTable`.
    """

    separator: str | None = None
    quotes: Quotes = "one_line"


def rows_of(path: Path, options: TextOptions) -> Rows:
    """The rows of a file. Raises UserError for an ending that is not known."""
    if path.suffix == ".parquet":
        return ParquetTable(path)
    separator = options.separator or SEPARATORS.get(path.suffix)
    if separator is None:
        endings = ", ".join([*SEPARATORS, ".parquet"])
        raise UserError(f"{path}: unknown ending, known are {endings}; or set prepare.options.separator")
    return TextTable(path, separator, options.quotes)
