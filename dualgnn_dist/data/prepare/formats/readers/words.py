"""Lists of words as tokens: a word's id is its rank among the words that occur."""

from __future__ import annotations

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.readers.lists import BLOCK_ITEMS, ListColumn
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.ids import IdTable
from dualgnn_dist.data.prepare.raw_data import Place, RawModality


def word_tokens(column: ListColumn) -> RawModality:
    """The tokens of a column of lists of texts, which is read once for its words."""
    words = [block["lists"].explode().drop_nulls().unique() for block, _ in column.rows(BLOCK_ITEMS)]
    vocabulary = IdTable(pl.concat([pl.Series(dtype=pl.String), *words]).unique().sort())
    return column.tokens(lambda flat, place: pl.Series(vocabulary.rows(flat), dtype=pl.Int64))


def word_lists(texts: pl.Series, place: Place) -> pl.Series:
    """Texts as lists of words: one that is a JSON list gives its texts, another itself; null where there is none.

    Raises:
        UserError: a text begins as a JSON list does, and is none.
    """
    is_list = texts.str.starts_with("[").fill_null(False)
    lists = texts.to_frame("text").select(pl.concat_list("text")).to_series()
    if is_list.any():
        try:
            of_json = texts.set(~is_list, None).str.json_decode(pl.List(pl.String))
        except pl.exceptions.PolarsError as error:
            first = int(is_list.arg_max() or 0)
            words = " ".join(str(error).split())[:200]
            raise UserError(f"{place(first)} or behind: {texts[first][:40]!r} is no JSON list: {words}") from error
        lists = of_json.zip_with(is_list, lists)
    lists = lists.list.drop_nulls()
    return lists.to_frame("lists").select(pl.when(pl.col("lists").list.len() > 0).then("lists")).to_series()
