"""Lists of words as tokens: a word's id is its rank among the words that occur."""

from __future__ import annotations

from dualgnn_dist.data.prepare.formats.readers.lists import BLOCK_ITEMS, ListColumn
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.ids import IdTable
from dualgnn_dist.data.prepare.raw_data import RawModality


def word_tokens(column: ListColumn) -> RawModality:
    """The tokens of a column of lists of texts, which is read once for its words."""
    words = [block["lists"].explode().drop_nulls().unique() for block, _ in column.rows(BLOCK_ITEMS)]
    vocabulary = IdTable(pl.concat([pl.Series(dtype=pl.String), *words]).unique().sort())
    return column.tokens(lambda flat, place: pl.Series(vocabulary.rows(flat), dtype=pl.Int64))
