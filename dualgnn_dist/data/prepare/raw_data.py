"""What every input format yields: blocks of interactions as polars frames, of features as arrays.

Ids are still those of the raw data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.frames import pl

SPLIT_CODES = {"train": 0, "valid": 1, "test": 2}
BLOCK_ROWS = 1 << 20  # interactions a block
Place = Callable[[int], str]
"""A row of a block in words: its file, and the line or the row there."""


@dataclass(frozen=True)
class Glob:
    """Files by a pattern: `*` and `?` within a name, `**` for folders however deep.

    Args:
        glob: the pattern, of a path or a URL.
    """

    glob: str


@dataclass(frozen=True)
class ModalitySource:
    """A modality in a file of which there is more to be said than its name.

    Args:
        file: beside the log, as the name alone would be.
        column: of a table, or the array of a `.npz` or `.safetensors` file; null: the only one.
        item_column: of a table, holds the item ids; null: as the format's options say.
        items: of a matrix, the file with the item id of every row, or the array of its own file that holds them.
        separator: between the words of a table's texts, as `|` in `Comedy|Drama`; null: a text is one word.
    """

    file: str
    column: str | None = None
    item_column: str | None = None
    items: str | None = None
    separator: str | None = None

    def __post_init__(self) -> None:
        if self.separator == "":
            raise ValueError("separator must not be empty")

    def refuse(self, modality: str, of: str, **settings: str | None) -> None:
        """Raises UserError for a setting that means nothing of such a file."""
        for key, value in settings.items():
            if value is not None:
                raise UserError(f"prepare.modalities.{modality}.{key} means nothing {of} ({self.file}); leave it out")


Modalities = Mapping[str, str | ModalitySource]
"""Name -> file, or what more is to be said of it."""


@dataclass(frozen=True)
class TokenLists:
    """A list of int32 word ids an item: `tokens[offsets[k]:offsets[k + 1]]`."""

    offsets: np.ndarray
    tokens: np.ndarray


@dataclass(frozen=True)
class FeatureBlock:
    """Consecutive rows of one modality.

    Args:
        first_row: the number of the first in its source, for messages.
        items: their raw item ids; None where a row's number is its item id.
        values: float [n, D], or token lists.
        present: bool [n]; None where all are.
        place: a row of this block in words; None: that of the modality, counted from `first_row`.
    """

    first_row: int
    items: pl.Series | None
    values: np.ndarray | TokenLists
    present: np.ndarray | None = None
    place: Place | None = None

    @property
    def items_or_rows(self) -> pl.Series:
        """The item id of every row."""
        if self.items is not None:
            return self.items
        num_rows = len(self.values) if isinstance(self.values, np.ndarray) else len(self.values.offsets) - 1
        return pl.int_range(self.first_row, self.first_row + num_rows, eager=True)


@dataclass(frozen=True)
class RawModality:
    """One modality of the items, read in blocks.

    Args:
        dimension: the width D; for tokens the vocabulary's least size, it grows to what their ids need.
        dtype: float32 or float16; int32 for tokens.
        place: a row number of the source in words, for messages.
        row_keyed: row numbers are item ids, so that every item must have a row.
        items: blocks of the item ids of all rows, and their places in words, without a value being read; None: there
            is no way to it but `blocks`.
    """

    kind: Literal["dense", "tokens"]
    dimension: int
    dtype: str
    place: Place
    blocks: Callable[[], Iterable[FeatureBlock]]
    row_keyed: bool = False
    items: Callable[[], Iterable[tuple[pl.Series, Place]]] | None = None


class Tally:
    """What a reading of the blocks met beside them; `clear` begins anew.

    Args:
        notes: what is to be said of every reading.

    Attributes:
        left_out: why rows are in no block -> how many.
        notes: what is to be said of the whole.
    """

    def __init__(self, notes: Iterable[str] = ()) -> None:
        self._always = list(notes)
        self.clear()

    def clear(self) -> None:
        """Forgets the last reading."""
        self.left_out: Counter[str] = Counter()
        self.notes = list(self._always)


@dataclass(frozen=True)
class RawData:
    """A raw data set.

    Args:
        blocks: frames with the columns `user` and `item` (Int64 or String); perhaps `timestamp` (Int64) and, where one
            is no whole number, `fraction` (Float64, what it has beyond that, in [0, 1]); `split` (Int8, as in
            SPLIT_CODES), `weight` (Float64 above 0) and `kept` (Boolean: a row that is not kept names its user and
            item, nothing else).
        ids_are_rows: users and items keep their ids as row indices, whether they occur or not.
        num_users, num_items: with `ids_are_rows`, how many there are at least.
        sources: the input files, for the manifest.
        checksums: what else was read -> its checksum, for the manifest.
        no_times: where no block has a `timestamp`, why, and how one is named.
        min_weight: a user and an item whose rows' weights add up to less are no interaction.
        tallies: what the last whole reading of the blocks met.
    """

    blocks: Callable[[], Iterable[pl.DataFrame]]
    modalities: Mapping[str, RawModality] = field(default_factory=dict)
    sources: tuple[Path, ...] = ()
    checksums: Mapping[str, str] = field(default_factory=dict)
    ids_are_rows: bool = False
    num_users: int = 0
    num_items: int = 0
    no_times: str | None = None
    min_weight: float | None = None
    tallies: tuple[Tally, ...] = ()


Options = Any  # a format's own frozen Options dataclass


@dataclass(frozen=True)
class Format:
    """One input format: its options, and `read(input, modalities, options)` with modalities as name -> file.

    Args:
        has_sources: a modality may be a `ModalitySource` too.
    """

    options: type
    read: Callable[..., RawData]
    has_sources: bool = False
