"""A file by its ending: the kind of rows that it holds; a folder or a pattern as the files in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.raw_data import Glob
from dualgnn_dist.data.prepare.reading import existing, readable
from dualgnn_dist.data.prepare.tabular.arrow import ArrowTable
from dualgnn_dist.data.prepare.tabular.json_lines import JsonLinesTable
from dualgnn_dist.data.prepare.tabular.parquet import ParquetTable
from dualgnn_dist.data.prepare.tabular.parts import Parts, keys_of, parts_in, parts_of_pattern
from dualgnn_dist.data.prepare.tabular.plain import COMPRESSED, suffix_of
from dualgnn_dist.data.prepare.tabular.rows import Rows
from dualgnn_dist.data.prepare.tabular.text import Quotes, TextTable

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t", ".inter": "\t"}
JSON_LINES = (".jsonl", ".ndjson", ".json")


ARROW = (".arrow", ".feather", ".ipc", ".arrows")
ENDINGS = (*SEPARATORS, *JSON_LINES, ".parquet", *ARROW)


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
    if suffix in ARROW:
        return ArrowTable(path)
    if suffix in JSON_LINES:
        return JsonLinesTable(path, options.encoding)
    separator = options.separator or SEPARATORS.get(suffix)
    if separator is None:
        endings = ", ".join(ENDINGS)
        raise UserError(
            f"{path}: unknown ending, known are {endings}, and texts with {', '.join(COMPRESSED)} behind; "
            f"or set prepare.options.separator; `python -m dualgnn_dist.prepare --inspect {path}` says what fits"
        )
    return TextTable(path, separator, options.quotes, options.columns, options.encoding)


@dataclass(frozen=True)
class OpenedInput:
    """A log and where it lies.

    Args:
        rows: of the file, or of all parts.
        folder: what other files' names are relative to.
        files: that are read.
    """

    rows: Rows
    folder: Path
    files: tuple[Path, ...]


def opened_input(input: str | Glob, options: TextOptions) -> OpenedInput:
    """A file, the parts of a folder, or those that a pattern names.

    Raises:
        UserError: there is nothing of this name, the parts are of several kinds, or the ending is not known.
    """
    if isinstance(input, Glob):
        root, files = parts_of_pattern(input.glob)
        path = Path(input.glob)
    else:
        root = path = Path(input)
        with readable(path):
            if not path.is_dir():
                return OpenedInput(rows_of(existing(path), options), path.parent, (path,))
        files = parts_in(path)
    parts = [rows_of(file, options) for file in files]
    return OpenedInput(Parts(path, parts, [keys_of(file, root) for file in files]), root, tuple(files))
