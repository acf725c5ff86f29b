"""Which format a file or a folder is for, and its rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from glob import has_magic
from pathlib import Path
from typing import Any

from dualgnn_dist.data.prepare.formats import amazon, microlens, movielens
from dualgnn_dist.data.prepare.formats.recbole import AtomicFile
from dualgnn_dist.data.prepare.inspect.text_layout import encoding_in, layout_of
from dualgnn_dist.data.prepare.raw_data import SPLIT_CODES, Glob
from dualgnn_dist.data.prepare.reading import existing, readable
from dualgnn_dist.data.prepare.tabular.archive import only_member
from dualgnn_dist.data.prepare.tabular.opening import ARROW, JSON_LINES, TextOptions, opened_input, rows_of
from dualgnn_dist.data.prepare.tabular.parts import parts_in, parts_of_pattern
from dualgnn_dist.data.prepare.tabular.plain import suffix_of
from dualgnn_dist.data.prepare.tabular.rows import Rows
from dualgnn_dist.data.prepare.tabular.text import TextTable

NO_TEXTS = (".parquet", *ARROW)
RECBOLE_NAMES = {"user": "user_id", "item": "item_id", "timestamp": "timestamp", "rating": "rating"}
HEADERLESS = ("user", "item", "rating", "timestamp")


@dataclass(frozen=True)
class Source:
    """What is looked at.

    Args:
        format: that reads it.
        input: as of `prepare.input`; of a pattern, the folder that it begins with.
        path: the file of the interactions.
        why: what shows that it is of this format.
        columns: what a column is -> its name, where the format says so; empty: to be guessed.
        options: what the file itself says of the format's options.
        split: where the files say it.
        pattern: that names the files.
    """

    format: str
    input: Path
    path: Path
    rows: Rows
    why: str
    columns: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    split: str | None = None
    pattern: str | None = None


def source_of(path: Path) -> Source:
    """Raises UserError where nothing fits."""
    if has_magic(str(path)) and not path.exists():
        return _parts(Glob(str(path)), *parts_of_pattern(str(path)))
    with readable(path):
        if path.is_dir():
            return _of_folder(path)
        if path.suffix.lower() == ".zip" and path.is_file():
            return _movielens(path, only_member(path, movielens.FILES))
    if path.name.endswith(".inter"):
        return _of_inter(path)
    if existing(path).name in movielens.FILES and path.suffix != ".csv":
        return _movielens(path, path)
    if path.name.endswith(microlens.ENDINGS[1]):
        rows = microlens.Sequences(path)
        return Source("microlens", path, path, rows, "a line a user, its items behind it", microlens.COLUMNS)
    return _known_columns(_table(path))


def _of_folder(folder: Path) -> Source:
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    inter = [name for name in names if name.endswith(".inter")]
    pairs = [name for ending in microlens.ENDINGS for name in names if name.endswith(ending)]
    if inter:
        return _of_inter(folder / inter[0])
    if any(name in movielens.FILES for name in names):
        return source_of(folder / next(name for name in movielens.FILES if name in names))
    if pairs:
        return source_of(folder / pairs[0])
    if {"train.txt", "test.txt"} <= set(names):
        rows = TextTable(folder / "train.txt", "", names=("line",))
        options = {} if "valid.txt" in names else {"valid": None}
        why = "a line a user, its items behind it"
        return Source("adjacency", folder, rows.path, rows, why, {"user": "line", "item": "line"}, options, "given")
    reviews = [name for name in names if suffix_of(Path(name)) in amazon.ENDINGS and not name.startswith("meta_")]
    if len(reviews) == 1 and any(name.startswith("meta_") for name in names):
        return source_of(folder / reviews[0])
    parts = parts_in(folder)
    return source_of(parts[0]) if parts == [folder / parts[0].name] else _parts(folder, folder, parts)


def _parts(input: Path | Glob, folder: Path, parts: Sequence[Path]) -> Source:
    """Several files as one table; how the texts among them are written, the first of them shows."""
    first = _table(parts[0])
    options = TextOptions(**first.options)
    rows = opened_input(input if isinstance(input, Glob) else str(input), options).rows
    pattern = input.glob if isinstance(input, Glob) else None
    return dataclasses.replace(
        first, input=folder, path=rows.path, rows=rows, why=f"{len(parts):,} files, each {first.why}", pattern=pattern
    )


def _table(path: Path) -> Source:
    suffix, options = suffix_of(path), TextOptions()
    if suffix in JSON_LINES:
        options = TextOptions(encoding=encoding_in(path))
    elif suffix not in NO_TEXTS:
        options = layout_of(path)
    rows = rows_of(path, options)
    kinds = {".parquet": "Parquet", **dict.fromkeys(ARROW, "Arrow"), **dict.fromkeys(JSON_LINES, "JSON lines")}
    return Source("table", path, path, rows, kinds.get(suffix, "a text file"), options=_said(options))


def _said(options: TextOptions) -> dict[str, Any]:
    said: dict[str, Any] = {} if options.separator is None else {"separator": options.separator}
    if options.encoding != "utf-8":
        said["encoding"] = options.encoding
    if options.columns is not None:
        said["columns"] = list(options.columns)
    return said


def _known_columns(source: Source) -> Source:
    """The same file as of the format that knows its columns."""
    path, columns = source.path, source.rows.columns
    if suffix_of(path) not in (*amazon.ENDINGS, ".ndjson") or set(source.options) - {"columns"}:
        return source
    if columns == tuple(movielens.COLUMNS.values()) and path.suffix == ".csv":
        return _movielens(path, path)
    if path.name.endswith(microlens.ENDINGS[0]) and set(microlens.COLUMNS.values()) <= set(columns):
        why = "pairs of user and video"
        return Source("microlens", path, path, source.rows, why, microlens.COLUMNS)
    if suffix_of(path) not in amazon.ENDINGS:
        return source
    if set(amazon.OF_2018.values()) <= set(columns):
        return Source("amazon", path, path, source.rows, "reviews as of 2014 and 2018", amazon.OF_2018)
    if {*amazon.OF_2023.values(), "parent_asin"} <= set(columns):
        names = {**amazon.OF_2023, "item": "parent_asin"}
        return Source("amazon", path, path, source.rows, "reviews as of 2023", names)
    if "columns" in source.options and len(columns) == len(HEADERLESS):
        first = TextTable(path, ",").columns
        for order, left, right in (
            (HEADERLESS, amazon.USER, amazon.ITEM),
            (("item", "user", *HEADERLESS[2:]), amazon.ITEM, amazon.USER),
        ):
            if left.fullmatch(first[0]) and right.fullmatch(first[1]):
                rows = TextTable(path, ",", names=order)
                return Source("amazon", path, path, rows, "ratings without a header", amazon.WITHOUT_HEADER)
    return source


def _movielens(input: Path, file: Path) -> Source:
    separator = movielens.SEPARATORS[file.suffix]
    names = None if file.suffix == ".csv" else tuple(movielens.COLUMNS.values())
    return Source("movielens", input, file, TextTable(file, separator, names=names), file.name, movielens.COLUMNS)


def _of_inter(path: Path) -> Source:
    table = TextTable(existing(path), "\t")
    has_others = len(list(path.parent.glob("*.inter"))) > 1
    options: dict[str, Any] = {}
    if {"userID", "itemID", "x_label"} <= set(table.columns):
        names = {"user": "userID", "item": "itemID", "split": "x_label"}
        options |= {"interactions": path.name} if has_others else {}
        return Source("mmrec", path.parent, path, table, "labels of splits", names, options, "given")
    if not all(":" in name for name in table.columns):
        return _table(path)
    stem, split = path.name.removesuffix(".inter"), None
    whole = next((stem.removesuffix(f".{part}") for part in SPLIT_CODES if stem.endswith(f".{part}")), None)
    if whole is not None and all((path.parent / f"{whole}.{part}.inter").is_file() for part in SPLIT_CODES):
        stem, split, options["parts"] = whole, "given", list(SPLIT_CODES)
        path = path.parent / f"{stem}.train.inter"
    if has_others:
        options["dataset"] = stem
    file = AtomicFile(path)
    names = {what: name for what, name in RECBOLE_NAMES.items() if name in file.columns}
    if not {"user", "item"} <= names.keys():
        names = {}
    return Source("recbole", path.parent, path, file, "names with types", names, options, split)
