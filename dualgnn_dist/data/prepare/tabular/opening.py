"""A file by its ending: the kind of rows that it holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.tabular.json_lines import JsonLinesTable
from dualgnn_dist.data.prepare.tabular.parquet import ParquetTable
from dualgnn_dist.data.prepare.tabular.plain import COMPRESSED, suffix_of
from dualgnn_dist.data.prepare.tabular.rows import Rows
from dualgnn_dist.data.prepare.tabular.text import Quotes, TextTable

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t", ".inter": "\t"}
JSON_LINES = (".jsonl", ".ndjson", ".json")


@dataclass(frozen=True)
class TextOptions:
    """What the ending of a text file does not say.

    Args:
        separator: of its values; None goes by the ending.
        quotes: as of `TextTable`.
        encoding: what the text is written in.
        columns: their names, where no line of the file says them.
    """

    separator: str | None = None
    quotes: Quotes = "one_line"
    encoding: str = "utf-8"
    columns: tuple[str, ...] | None = None


def rows_of(path: Path, options: TextOptions) -> Rows:
    """The rows of a file. Raises UserError for an ending that is not known."""
    suffix = suffix_of(path)
    if suffix == ".parquet":
        return ParquetTable(path)
    if suffix in JSON_LINES:
        return JsonLinesTable(path, options.encoding)
    separator = options.separator or SEPARATORS.get(suffix)
    if separator is None:
        endings = ", ".join([*SEPARATORS, *JSON_LINES, ".parquet"])
        raise UserError(
            f"{path}: unknown ending, known are {endings}, and texts with {', '.join(COMPRESSED)} behind; "
            f"or set prepare.options.separator; `python -m dualgnn_dist.prepare --inspect {path}` says what fits"
        )
    return TextTable(path, separator, options.quotes, options.columns, options.encoding)
