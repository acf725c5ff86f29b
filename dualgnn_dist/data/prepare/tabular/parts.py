"""Several files as one table: the parts of a folder, or the files that a pattern names, in the order of their paths.

Folders as `country=at` are columns, as Hive and Spark write them: the text behind the sign, in every row of the files
below. Files whose names begin with a point or an underscore are no parts, such as `_SUCCESS`.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from dualgnn_dist.base.errors import UserError, nearest
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import Place
from dualgnn_dist.data.prepare.reading import readable, require_columns
from dualgnn_dist.data.prepare.tabular.json_lines import JsonLinesTable
from dualgnn_dist.data.prepare.tabular.plain import suffix_of
from dualgnn_dist.data.prepare.tabular.rows import Rows

NULL = "__HIVE_DEFAULT_PARTITION__"
HIDDEN = (".", "_")


def parts_in(folder: Path) -> list[Path]:
    """The parts below a folder. Raises UserError where there is none, or files are of several kinds."""
    with readable(folder):
        files = [path for path in sorted(folder.rglob("*")) if _is_part(path, folder)]
    if not files:
        raise UserError(f"{folder} holds no file that could be a part of a table")
    return _of_one_kind(files, f"{folder} holds")


def parts_of_pattern(pattern: str) -> tuple[Path, list[Path]]:
    """The folder down to which a pattern names one path, and the files that it fits.

    Raises:
        UserError: no file fits, or files of several kinds do.
    """
    root = fixed_part(pattern)
    with readable(root):
        files = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]
        files = [path for path in files if _is_part(path, root)]
    if not files:
        hint = ""
        if root.is_dir():
            hint = nearest(Path(pattern).name, (path.name for path in root.iterdir()))
        raise UserError(f"prepare.input: no file fits the pattern {pattern!r}{hint}")
    return root, _of_one_kind(files, f"the pattern {pattern!r} fits")


def fixed_part(pattern: str) -> Path:
    """The folder of a pattern, down to the first part of it that is one."""
    path = Path(pattern)
    while glob.has_magic(str(path)):
        path = path.parent
    return path


def keys_of(part: Path, root: Path) -> dict[str, str | None]:
    """What the folders between say: `country=at` is the column `country` with the value `at`."""
    folders = (name.partition("=") for name in part.relative_to(root).parts[:-1] if "=" in name)
    return {unquote(key): None if value == NULL else unquote(value) for key, _, value in folders if key}


@dataclass(frozen=True)
class Parts:
    """The rows of several files of one kind, one file after the other.

    Args:
        path: of all of them, for messages.
        parts: the files.
        keys: a file's place there -> what its folders say.
    """

    path: Path
    parts: Sequence[Rows]
    keys: Sequence[Mapping[str, str | None]] = field(repr=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """Those of the first part, and what the folders say."""
        return tuple(dict.fromkeys([*self.parts[0].columns, *self.keys[0]]))

    def blocks(self, names: Mapping[str, str], num_rows: int) -> Iterator[tuple[pl.DataFrame, Place]]:
        """As of each part; small ones share a block.

        Raises:
            UserError: a part lacks a column, or other folders say something of it than of the first.
        """
        gathered = _Gathered(num_rows)
        for part, keys in zip(self.parts, self.keys, strict=True):
            if keys.keys() != self.keys[0].keys():
                own, first = (", ".join(each) or "nothing" for each in (keys, self.keys[0]))
                raise UserError(f"{part.path}: its folders name {own}, those of the first part {first}")
            for block, place in _with_keys(self._of_first(part), keys, names, num_rows):
                yield from gathered.add(block, place)
        yield from gathered.rest()

    def _of_first(self, part: Rows) -> Rows:
        """A part of JSON lines has the columns of the first one, whether its own first objects name them or not."""
        if isinstance(part, JsonLinesTable):
            return JsonLinesTable(part.path, part.encoding, self.parts[0].columns)
        return part


def _with_keys(
    part: Rows, keys: Mapping[str, str | None], names: Mapping[str, str], num_rows: int
) -> Iterator[tuple[pl.DataFrame, Place]]:
    of_keys = {name: of for name, of in names.items() if of in keys and of not in part.columns}
    in_file = {name: of for name, of in names.items() if name not in of_keys}
    require_columns(part.path, part.columns, in_file.values())
    values = [pl.lit(keys[of], dtype=pl.String).alias(name) for name, of in of_keys.items()]
    # A table without columns has no rows either: where the folders say it all, one column is read beside.
    for block, place in part.blocks(in_file or {"": part.columns[0]}, num_rows):
        yield block.with_columns(values).select(*names), place


class _Gathered:
    """Blocks of the same types put together until they are as long as may be."""

    def __init__(self, num_rows: int) -> None:
        self.num_rows = num_rows
        self._blocks: list[pl.DataFrame] = []
        self._places: list[Place] = []
        self._size = 0

    def add(self, block: pl.DataFrame, place: Place) -> Iterator[tuple[pl.DataFrame, Place]]:
        """Takes a block; gives out what it does not fit behind."""
        if self._blocks and (self._size + len(block) > self.num_rows or block.schema != self._blocks[0].schema):
            yield from self.rest()
        self._blocks.append(block)
        self._places.append(place)
        self._size += len(block)

    def rest(self) -> Iterator[tuple[pl.DataFrame, Place]]:
        """Gives out what is there."""
        if self._size:
            yield pl.concat(self._blocks), _place_in(self._blocks, self._places)
        self._blocks, self._places, self._size = [], [], 0


def _place_in(blocks: Sequence[pl.DataFrame], places: Sequence[Place]) -> Place:
    ends = np.cumsum([len(block) for block in blocks])
    places = list(places)

    def place(row: int) -> str:
        k = int(np.searchsorted(ends, row, side="right"))
        return places[k](row - (int(ends[k - 1]) if k else 0))

    return place


def _is_part(path: Path, root: Path) -> bool:
    return path.is_file() and not any(name.startswith(HIDDEN) for name in path.relative_to(root).parts)


def _of_one_kind(files: list[Path], what: str) -> list[Path]:
    kinds = {suffix_of(path): path for path in reversed(files)}
    if len(kinds) > 1:
        words = ", ".join(f"{path.name}" for path in list(kinds.values())[:4])
        raise UserError(
            f"{what} files of several kinds ({words}); name those of the log as prepare.input={{glob: FOLDER/**/*.csv}}"
        )
    return files
