"""A modality in a column of lists: of numbers, all as long, or of tokens; null where the item misses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import BLOCK_ROWS, FeatureBlock, Place, RawModality, TokenLists
from dualgnn_dist.data.prepare.reading import numbered, refuse_first, row_numbers

BLOCK_ITEMS = 1 << 15
MAX_TOKENS = 1 << 24  # every word below the largest takes a row of the model
Convert = Callable[["pl.Series", Place], "pl.Series"]


@dataclass(frozen=True, kw_only=True)
class ListColumn:
    """A column of lists and the items that they belong to.

    Args:
        rows: blocks of at most so many rows with the columns `items` and `lists`, and their places in words; read anew
            with every call.
        path, column: the file, and the column's name there, for messages.
        ids: checks and converts the items of a block.
        unit: what a row is called in messages.
        only_items: the same blocks with the column `items` alone, where that is less to read.
    """

    rows: Callable[[int], Iterator[tuple[pl.DataFrame, Place]]]
    path: Path
    column: str
    ids: Convert
    unit: str = "row"
    only_items: Callable[[int], Iterator[tuple[pl.DataFrame, Place]]] | None = None

    def dense(self, numbers: Convert = lambda lists, place: lists) -> RawModality:
        """Vectors as long as the first; `numbers` makes lists of numbers of the lists of a block.

        Raises:
            UserError: there is no vector.
        """
        dimension = next((lengths[0] for lengths in self._lengths() if len(lengths)), 0)
        if not dimension:
            raise UserError(f"{self.path}: the column {self.column!r} has no vector")
        return self._modality(
            "dense", dimension, "float32", lambda lists, place: _vectors(numbers(lists, place), dimension, place)
        )

    def tokens(self, words: Convert = lambda flat, place: row_numbers(flat, "token", place)) -> RawModality:
        """Token lists; `words` makes word ids of the words of a block's lists, one list after the other."""
        return self._modality("tokens", 0, "int32", lambda lists, place: _tokens(lists, words, place))

    def _lengths(self) -> Iterator[pl.Series]:
        for block, _ in self.rows(BLOCK_ITEMS):
            lengths = block["lists"].list.len().drop_nulls()
            yield lengths.filter(lengths > 0)

    def _modality(
        self,
        kind: Literal["dense", "tokens"],
        dimension: int,
        dtype: str,
        values: Callable[[pl.Series, Place], np.ndarray | TokenLists],
    ) -> RawModality:
        def blocks() -> Iterator[FeatureBlock]:
            row = 0
            for block, place in self.rows(BLOCK_ITEMS):
                items, lists = self.ids(block["items"], place), block["lists"]
                yield FeatureBlock(row, items, values(lists, place), lists.is_not_null().to_numpy(), place)
                row += len(block)

        def items() -> Iterator[tuple[pl.Series, Place]]:
            for block, place in self.rows(BLOCK_ITEMS) if self.only_items is None else self.only_items(BLOCK_ROWS):
                yield self.ids(block["items"], place), place

        place = numbered(self.path, self.unit)
        return RawModality(kind, dimension, dtype, place, blocks, items=items)


def _vectors(lists: pl.Series, dimension: int, place: Place) -> np.ndarray:
    lengths = lists.list.len()
    wrong = (lengths != dimension).fill_null(False)
    refuse_first(wrong, place, lambda row: f"the vector has {lengths[row]} values, the first one has {dimension}")
    values = np.zeros((len(lists), dimension), dtype=np.float32)
    present = lists.drop_nulls().explode().cast(pl.Float32).to_numpy()  # a null among the numbers becomes NaN
    values[lists.is_not_null().to_numpy()] = present.reshape(-1, dimension)
    return values


def _tokens(lists: pl.Series, words: Convert, place: Place) -> TokenLists:
    offsets = np.zeros(len(lists) + 1, dtype=np.int64)
    np.cumsum(lists.list.len().fill_null(0).to_numpy(), out=offsets[1:])
    flat = lists.filter(lists.list.len() > 0).explode()

    def at(position: int) -> str:
        return place(int(np.searchsorted(offsets, position, side="right")) - 1)

    tokens = words(flat, at)
    refuse_first(
        tokens >= MAX_TOKENS,
        at,
        lambda position: f"token {tokens[position]} is not below {MAX_TOKENS}; number the words densely",
    )
    return TokenLists(offsets, tokens.to_numpy().astype(np.int32))
