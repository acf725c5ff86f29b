"""A raw id looked up in a store's column of ids, int64 or string, by Arrow: no Python object for an id but the nearest.

A look-up reads the column once. What is looked up is a text, as a person types it; an integer id is found by the one
text that is its decimal form.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_MAX_COMPARED = 500  # ids that share a beginning, and as many that share an end, are compared letter by letter
_INT64 = np.iinfo(np.int64)


def find(ids: pa.ChunkedArray, text: str) -> int | None:
    """The index of the first id whose text is this one; None where there is none."""
    value: int | str | None = text
    if pa.types.is_integer(ids.type):
        value = _as_int(text)
        if value is None or str(value) != text or not _INT64.min <= value <= _INT64.max:
            return None
    elif _as_utf8(text) != text:
        return None
    index = pc.index(ids, pa.scalar(value, ids.type)).as_py()
    return None if index < 0 else index


def find_all(ids: pa.ChunkedArray, texts: Sequence[str]) -> np.ndarray:
    """The index of the first id with each of these texts, int64 [n], -1 where there is none: one pass for all of them.

    It finds what `find` finds, text by text.
    """
    if not pa.types.is_integer(ids.type):
        values: list[int | str | None] = [text if _as_utf8(text) == text else None for text in texts]
    else:
        numbers = [_as_int(text) for text in texts]
        values = [
            number if number is not None and str(number) == text and _INT64.min <= number <= _INT64.max else None
            for number, text in zip(numbers, texts, strict=True)
        ]
    places = pc.index_in(pa.array(values, ids.type), value_set=ids)
    return pc.fill_null(places.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)


def nearest(ids: pa.ChunkedArray, text: str) -> str | None:
    """An id near one that is not there, for a message; None where there are no ids.

    Numbers are compared by value; a text among numbers counts as the first number in it. Of texts, those that share the
    longest beginning and those that share the longest end are compared letter by letter, at most 500 of each, the first
    of the column. So the work is a few passes over the column and the memory that of a shard.
    """
    if len(ids) == 0:
        return None
    if pa.types.is_integer(ids.type):
        digits = re.search(r"-?\d+", text)
        return str(_nearest_number(ids, _as_int(digits[0] if digits else "") or 0))
    text = _as_utf8(text)
    similar = [*_sharing(ids, text, pc.starts_with, lambda length: text[:length])]
    similar += _sharing(ids, text, pc.ends_with, lambda length: text[len(text) - length :])
    return difflib.get_close_matches(text, similar, n=1, cutoff=0.0)[0]


def _as_int(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _as_utf8(text: str) -> str:
    """Text from a command line may hold bytes that are no UTF-8; no id does."""
    return text.encode(errors="replace").decode()


def _nearest_number(ids: pa.ChunkedArray, value: int) -> int:
    """Differences are of Python's integers: those of int64 may overflow."""
    value = min(max(value, int(_INT64.min)), int(_INT64.max))
    candidates = []
    for chunk in ids.chunks:
        numbers = chunk.to_numpy()
        below, above = numbers[numbers <= value], numbers[numbers > value]
        candidates += [int(below.max())] if len(below) else []
        candidates += [int(above.min())] if len(above) else []
    return min(candidates, key=lambda number: (abs(number - value), number))


def _sharing(
    ids: pa.ChunkedArray, text: str, test: Callable[..., pa.Array], part: Callable[[int], str]
) -> Iterator[str]:
    """Ids with the longest part of `text` that any has: `test(chunk, part(length))`, a part of no letters fits all."""
    fits, too_long = 0, len(text) + 1
    while too_long - fits > 1:  # an id with a part has every shorter one, so the longest is found by halving
        length = (fits + too_long) // 2
        if any(pc.any(test(chunk, part(length))).as_py() for chunk in ids.chunks):
            fits = length
        else:
            too_long = length
    left = _MAX_COMPARED
    for chunk in ids.chunks:
        rows = pc.indices_nonzero(test(chunk, part(fits)))[:left]
        yield from chunk.take(rows).to_pylist()
        left -= len(rows)
        if not left:
            return
