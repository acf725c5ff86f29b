"""Raw ids -> row indices: the distinct ids in ascending order, or the ids themselves where the format says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.interactions import InteractionTable
from dualgnn_dist.data.prepare.lookup import Lookup
from dualgnn_dist.data.prepare.raw_data import RawData
from dualgnn_dist.data.prepare.scratch import Scratch


@dataclass(frozen=True)
class IdTable:
    """The raw id of every row.

    Args:
        ids: ascending, unique; Int64 or String.
        is_range: they are 0, 1, ..., so that no look-up is needed.
    """

    ids: pl.Series
    is_range: bool = False

    @classmethod
    def range(cls, size: int) -> IdTable:
        """Ids that are row indices."""
        return cls(pl.Series("id", np.arange(size)), is_range=True)

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids: pl.Series) -> np.ndarray:
        """int32 rows of raw ids; -1 for one that is not known."""
        if ids.dtype != self.ids.dtype:
            ids = ids.cast(self.ids.dtype, strict=False)
        if self.is_range:
            numbers = ids.to_numpy()
            return np.where((numbers >= 0) & (numbers < len(self)), numbers, -1).astype(np.int32)
        if not len(self):
            return np.full(len(ids), -1, dtype=np.int32)
        seed, lookup = self._lookup
        rows = lookup.find(_keys(ids, seed))
        if ids.dtype == pl.String or ids.has_nulls():  # a text of the same hash, or a null in place of a number
            rows = np.where((self.ids.gather(np.maximum(rows, 0)) == ids).fill_null(False).to_numpy(), rows, -1)
        return rows

    @cached_property
    def _lookup(self) -> tuple[int, Lookup]:
        seed = 0
        while not (lookup := Lookup(_keys(self.ids, seed))).distinct:
            seed += 1  # two texts with one hash
        return seed, lookup


def assign_rows(
    raw: RawData, scratch: Scratch, items_of: Callable[[IdTable], IdTable] = lambda items: items
) -> tuple[InteractionTable, IdTable, IdTable, int]:
    """Reads the interactions once (twice where ids are not rows) and gives them row indices.

    Args:
        items_of: is given the items that the interactions name as soon as they are known; returns them, perhaps with
            others.

    Returns:
        the interactions that are kept; the ids of all users that were named, and of all items; how many rows were read,
        kept or not.

    Raises:
        UserError: there is no interaction, there are too many ids, or the input changes between two readings.
    """
    counted = _Counted()
    if raw.ids_are_rows:
        table = scratch.stack(_kept(b, _int32(b["user"]), _int32(b["item"])) for b in counted.through(raw.blocks()))
        users = IdTable.range(max(raw.num_users, int(table.users.max(initial=-1)) + 1))
        items = items_of(IdTable.range(max(raw.num_items, int(table.items.max(initial=-1)) + 1)))
    else:
        first = _Counted()
        users, items = _distinct(first.through(raw.blocks()))
        items = items_of(items)
        blocks = ((b, users.rows(b["user"]), items.rows(b["item"])) for b in counted.through(raw.blocks()))
        table = scratch.stack(_kept(*block, first.has_fractions) for block in blocks)
        if first.num_rows != counted.num_rows or min(table.users.min(initial=0), table.items.min(initial=0)) < 0:
            raise UserError(f"{', '.join(map(str, raw.sources))}: changed while it was read; run `prepare` again")
    if not len(table):
        raise UserError("the input has no interactions")
    return table, users, items, counted.num_rows


class _Counted:
    """What a reading of the blocks has gone through."""

    def __init__(self) -> None:
        self.num_rows, self.has_fractions = 0, False

    def through(self, blocks: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """The same blocks."""
        for block in blocks:
            self.num_rows += len(block)
            self.has_fractions |= "fraction" in block.columns
            yield block


def _distinct(blocks: Iterable[pl.DataFrame]) -> tuple[IdTable, IdTable]:
    users, items = _Distinct(), _Distinct()
    for block in blocks:
        users.add(block["user"])
        items.add(block["item"])
    return users.table(), items.table()


class _Distinct:
    """The different values of a column that comes in blocks; holds at most those of 16 blocks beside them."""

    def __init__(self) -> None:
        self._seen: list[pl.Series] = []

    def add(self, column: pl.Series) -> None:
        self._seen.append(column.unique())
        if len(self._seen) > 16:
            self._seen = [self._merged()]

    def table(self) -> IdTable:
        if not self._seen:
            raise UserError("the input has no interactions")
        return IdTable(self._merged().sort().alias("id"))

    def _merged(self) -> pl.Series:
        return pl.concat(self._seen).unique()


def _kept(block: pl.DataFrame, users: np.ndarray, items: np.ndarray, has_fractions: bool = False) -> InteractionTable:
    timestamps = block["timestamp"].to_numpy().astype(np.int64, copy=False) if "timestamp" in block.columns else None
    splits = block["split"].to_numpy().astype(np.int8) if "split" in block.columns else None
    fractions = None
    if has_fractions:  # a block of whole numbers has none of its own
        fractions = block["fraction"].to_numpy() if "fraction" in block.columns else np.zeros(len(block))
    weights = block["weight"].to_numpy() if "weight" in block.columns else None
    table = InteractionTable(users, items, timestamps, splits, fractions, weights)
    return table.take(block["kept"].to_numpy()) if "kept" in block.columns else table


def _keys(ids: pl.Series, seed: int) -> np.ndarray:
    return ids.hash(seed).to_numpy() if ids.dtype == pl.String else ids.fill_null(0).to_numpy()


def _int32(ids: pl.Series) -> np.ndarray:
    numbers = ids.to_numpy()
    if len(numbers) and numbers.max() >= np.iinfo(np.int32).max:
        raise UserError(
            f"id {numbers.max()} is too large to be a row index; use the format 'table', which renumbers ids"
        )
    return numbers.astype(np.int32)
