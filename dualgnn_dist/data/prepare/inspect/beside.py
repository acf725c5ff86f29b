"""What is known of the items: the modalities that were named, and what lies beside the interactions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dualgnn_dist.base.errors import UserError, nearest
from dualgnn_dist.data.prepare.formats.amazon_items import TEXTS
from dualgnn_dist.data.prepare.formats.films import FILES as FILM_FILES
from dualgnn_dist.data.prepare.formats.films import ZIP
from dualgnn_dist.data.prepare.formats.recbole import TYPES, AtomicFile
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.inspect.roles import item_column
from dualgnn_dist.data.prepare.inspect.sources import Source
from dualgnn_dist.data.prepare.tabular.json_lines import JsonLinesTable
from dualgnn_dist.data.prepare.tabular.parquet import ParquetTable

MAX_FILES = 64  # that are looked at beside the interactions
META_KEYS = ("categories", "category", "main_category", "main_cat", "store", "brand")
NAMES = str.maketrans({letter: "_" for letter in "-. "})


@dataclass
class Modalities:
    """What the config says of modalities.

    Args:
        named: modality -> what stands under `prepare.modalities`.
        options: what they need of the format's options.
        candidates: those that could be named, with a word about each.
    """

    named: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    candidates: list[tuple[str, str]] = field(default_factory=list)


def modalities_of(source: Source, item: str, named: Sequence[str]) -> Modalities:
    """Raises UserError for one of `named`, `NAME=FILE`, that is not there, or has nothing that a model reads."""
    folder = source.input if source.input.is_dir() else source.input.parent
    modalities = Modalities()
    for text in named:
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise UserError(f"--modality {text!r} must read NAME=FILE, as visual=vectors.parquet")
        modalities.named[name] = _named(folder, name, file, item, source, modalities.options)
    candidates = _candidates(source, folder, item)
    modalities.candidates = [(name, words) for name, words in candidates if name not in modalities.named]
    return modalities


def _named(folder: Path, name: str, file: str, item: str, source: Source, options: dict[str, Any]) -> Any:
    path = Path(file)
    if not path.exists():
        path = folder / file
    if not path.exists():
        if "." not in file:  # a key of the meta file, a column of the catalogue
            return file
        names = [other.name for other in folder.iterdir()]
        raise UserError(f"--modality {name}={file}: there is no such file, here or in {folder}{nearest(file, names)}")
    relative = os.path.relpath(path, folder)
    written = str(path.absolute()) if relative.startswith("..") else relative
    if path.suffix != ".parquet":
        return written
    schema = ParquetTable(path).schema
    of_items, vectors = item_column(schema.names(), item), _list_columns(schema)
    if of_items is None or not vectors:
        missing = "no column that holds item ids" if of_items is None else "no column of lists of numbers"
        raise UserError(
            f"--modality {name}={file}: {path} has {missing}, it has: {', '.join(schema.names())}; for texts see "
            "docs/raw-content.md"
        )
    if of_items != item:
        options["feature_item_column" if source.format == "table" else "item_column"] = of_items
    if len(schema) == 2:
        return written
    column = next((column for column in vectors if column == name), vectors[0])
    return {"file": written, "column": column}


def _candidates(source: Source, folder: Path, item: str) -> Iterator[tuple[str, str]]:
    if source.format == "recbole":
        for path in folder.glob("*.item"):
            for name, kind in AtomicFile(path).types.items():
                if name != item and kind in TYPES:
                    yield f"{_name(name)}: {name}", f"a column of {path.name}, {kind}"
        return
    if source.format in ("mmrec", "adjacency"):
        for path in sorted(folder.glob("*.npy"))[:MAX_FILES]:
            yield f"{_name(path.stem)}: {path.name}", "by row"
        return
    is_zip = source.input.suffix == ZIP
    if source.format == "movielens" and (is_zip or any((folder / file).is_file() for file in FILM_FILES)):
        yield "genre: genres", "tokens, of the file of films"
    metas = sorted(folder.glob("meta_*")) if source.format == "amazon" else []
    if len(metas) == 1:
        columns = JsonLinesTable(metas[0]).columns
        for key in META_KEYS:
            if key in columns and key not in TEXTS:
                yield f"{_name(key)}: {key}", f"tokens, a key of {metas[0].name}"
    for path in sorted(folder.glob("*.parquet"))[:MAX_FILES]:
        if path != source.path:
            yield from _of_parquet(path, item)


def _of_parquet(path: Path, item: str) -> Iterator[tuple[str, str]]:
    try:
        schema = ParquetTable(path).schema
    except UserError:  # whatever lies there, nobody asked for it
        return
    of_items, vectors = item_column(schema.names(), item), _list_columns(schema)
    if of_items is None:
        return
    only = len(schema) == 2
    for column in vectors:
        kind = "vectors" if schema[column].inner.is_float() else "tokens"  # type: ignore[attr-defined]
        file = path.name if only else f"{{file: {path.name}, column: {column}}}"
        yield f"{_name(path.stem if only else column)}: {file}", f"{kind} by {of_items}"


def _list_columns(schema: Mapping[str, Any]) -> list[str]:
    lists = {name: dtype for name, dtype in schema.items() if isinstance(dtype, (pl.List, pl.Array))}
    return [name for name, dtype in lists.items() if dtype.inner is not None and dtype.inner.is_numeric()]


def _name(text: str) -> str:
    return text.translate(NAMES)
