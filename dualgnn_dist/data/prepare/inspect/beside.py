"""What is known of the items: the modalities that were named, and what lies beside the interactions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dualgnn_dist.base.errors import UserError, nearest
from dualgnn_dist.data.prepare.formats.films import FILES as FILM_FILES
from dualgnn_dist.data.prepare.formats.films import ZIP
from dualgnn_dist.data.prepare.formats.recbole import TYPES, AtomicFile
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.inspect.profile import own_columns
from dualgnn_dist.data.prepare.inspect.roles import item_column
from dualgnn_dist.data.prepare.inspect.sources import Source
from dualgnn_dist.data.prepare.tabular.json_lines import JsonLinesTable
from dualgnn_dist.data.prepare.tabular.opening import ENDINGS, TextOptions, rows_of
from dualgnn_dist.data.prepare.tabular.plain import suffix_of

MAX_FILES = 16  # that are looked at beside the interactions
SAMPLE = 1 << 14  # rows of each of them
META_KEYS = ("categories", "category", "main_category", "main_cat", "store", "brand")
LABELS = "|"
NAMES = str.maketrans({letter: "_" for letter in "-. "})


@dataclass
class Modalities:
    """What the config says of modalities.

    Args:
        named: modality -> what stands under `prepare.modalities`.
        candidates: those that could stand there, modality -> the same in words, and what it is.
    """

    named: dict[str, Any] = field(default_factory=dict)
    candidates: dict[str, tuple[Any, str]] = field(default_factory=dict)


def modalities_of(source: Source, item: str, named: Sequence[str]) -> Modalities:
    """Raises UserError for one of `named`, `NAME=FILE`, that is not there, or has nothing that a model reads."""
    folder = source.input if source.input.is_dir() else source.input.parent
    modalities = Modalities()
    for text in named:
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise UserError(f"--modality {text!r} must read NAME=FILE, as visual=vectors.parquet")
        modalities.named[name] = _named(folder, name, file, item)
    for name, value, words in _candidates(source, folder, item):
        if value not in modalities.named.values():
            modalities.candidates.setdefault(name.translate(NAMES), (value, words))
    return modalities


def _named(folder: Path, name: str, file: str, item: str) -> Any:
    path = Path(file) if Path(file).exists() else folder / file
    if not path.exists():
        if "." not in file:  # a key of the meta file, a column of the catalogue
            return file
        names = [other.name for other in folder.iterdir()]
        raise UserError(f"--modality {name}={file}: there is no such file, here or in {folder}{nearest(file, names)}")
    relative = os.path.relpath(path, folder)
    written = file if Path(file).is_absolute() and relative.startswith("..") else relative
    if suffix_of(path) not in ENDINGS:
        return written
    choices = {value["column"]: value for value, _ in _columns_of(path, item, written)}
    if not choices:
        columns = ", ".join(rows_of(path, TextOptions()).columns[:20])
        raise UserError(
            f"--modality {name}={file}: {path} has no item ids, or nothing beside them that a model reads, in its "
            f"columns {columns}; for texts see docs/raw-content.md"
        )
    return _shortest(choices.get(name) or next(iter(choices.values())), path)


def _candidates(source: Source, folder: Path, item: str) -> Iterator[tuple[str, Any, str]]:
    if source.format == "recbole":
        for path in folder.glob("*.item"):
            for name, kind in AtomicFile(path).types.items():
                if name != item and kind in TYPES:
                    yield name, name, f"a column of {path.name}"
        return
    if source.format in ("mmrec", "adjacency"):
        for path in sorted(folder.glob("*.npy"))[:MAX_FILES]:
            yield path.stem, path.name, "by row"
        return
    is_zip = source.input.suffix == ZIP
    if source.format == "movielens" and (is_zip or any((folder / file).is_file() for file in FILM_FILES)):
        yield "genre", "genres", "tokens, of the file of films"
    metas = sorted(folder.glob("meta_*")) if source.format == "amazon" else []
    if len(metas) == 1:
        columns = JsonLinesTable(metas[0]).columns
        yield from ((key, key, f"tokens, of {metas[0].name}") for key in META_KEYS if key in columns)
    are_parts = source.pattern is not None or source.input.is_dir()
    if are_parts or source.format != "table":  # what lies there are parts of the log, or files of the format
        return
    others = [path for path in sorted(folder.iterdir()) if path.is_file() and path != source.path]
    for path in [path for path in others if suffix_of(path) in ENDINGS][:MAX_FILES]:
        for value, words in _columns_of(path, item, path.name):
            value = _shortest(value, path)
            yield path.stem if isinstance(value, str) else value["column"], value, words


def _columns_of(path: Path, item: str, written: str) -> Iterator[tuple[dict[str, str], str]]:
    """What in a table could be a modality, as `prepare.modalities` names it; vectors first."""
    try:
        rows = rows_of(path, TextOptions())
        of_items = item_column(rows.columns, item)
        names = own_columns(rows)
        block, _ = next(iter(rows.blocks({name: name for name in names}, SAMPLE)), (pl.DataFrame(), None))
    except UserError:  # whatever lies there, it is no table
        return
    if of_items is None or not len(block) or block[of_items].n_unique() < len(block) / 2:
        return
    source = {"file": written} | ({"item_column": of_items} if of_items != item else {})
    others = [block[name] for name in names if name != of_items]
    for column in others:
        if isinstance(column.dtype, (pl.List, pl.Array)) and column.dtype.inner.is_numeric():
            yield source | {"column": column.name}, "vectors" if column.dtype.inner.is_float() else "tokens"
    for column in others:
        texts = column.drop_nulls()
        if column.dtype in (pl.Categorical, pl.Enum) or (column.dtype == pl.String and _are_few(texts)):
            yield source | {"column": column.name}, "categories"
        elif column.dtype == pl.String and 2 * texts.str.contains(LABELS, literal=True).sum() > len(texts):
            yield source | {"column": column.name, "separator": LABELS}, "labels"


def _are_few(texts: pl.Series) -> bool:
    has_labels = texts.str.contains(LABELS, literal=True).any()
    are_numbers = not texts.cast(pl.Float64, strict=False).has_nulls()
    return 1 < texts.n_unique() <= len(texts) / 4 and not has_labels and not are_numbers


def _shortest(value: dict[str, str], path: Path) -> Any:
    """The file alone where that says it all."""
    is_alone = value.keys() == {"file", "column"} and len(rows_of(path, TextOptions()).columns) == 2
    return value["file"] if is_alone else value
