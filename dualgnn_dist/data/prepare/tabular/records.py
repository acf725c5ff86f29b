"""The records of a text, byte by byte: where each chosen value stands, and on which line.

One idea of what a record is, for every text that is read: a line that is not blank. Separators stand between values,
as many in every record. Where quotation marks count, a value that begins with one ends with one; inside of it
separators are text, two marks are one, and a line ends only where line breaks within values are allowed. Everything
else is refused with its line, so that no record can take others into itself.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dualgnn_dist.base.kernels import kernel, kernel_inline

NO_QUOTES, ONE_LINE, MANY_LINES = 0, 1, 2
FINE, RAGGED, UNCLOSED, AFTER_QUOTE, NUL, WAIT = 0, 1, 2, 3, 4, 5  # what is wrong; WAIT: the record goes on
TAB, LINE_FEED, RETURN, BLANK, QUOTE = 9, 10, 13, 32, 34
PLAIN, QUOTED, DOUBLED = 0, 1, 2  # how a value is written; doubled: between marks, with two marks for one inside


@kernel
def find_records(
    text: np.ndarray,
    is_last: bool,
    first: int,
    second: int,
    quotes: int,
    width: int,
    slots: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    written: np.ndarray,
    lines: np.ndarray,
) -> tuple[int, int, int, int, int]:
    """Fills in the chosen values of as many whole records as fit.

    Args:
        text: uint8, from the beginning of a line.
        is_last: nothing follows; else a record that is not over waits for more.
        first, second: the bytes of the separator; a second below 0: it has one; both: a record is one value.
        width: values of every record; -1: one record is read, which may have any number.
        slots: int64, of every value of a record the place in `starts`, -1 where it is not wanted.
        starts, ends, written: [W, N], where the wanted values begin and end, and how they are written.
        lines: int64 [N], the line of every record, from 0 for the first of `text`.

    Returns:
        records, bytes and lines gone through; what is wrong on the next line; the values of the last record.
    """
    position, line, num_records, num_values = 0, 0, 0, 0
    ends_values = np.zeros(256, dtype=np.bool_)  # of a byte: whether a value without marks may end there
    ends_values[0] = ends_values[LINE_FEED] = ends_values[max(first, 0)] = True
    while position < len(text) and num_records < len(lines):
        after = _after_blank_line(text, position, first != TAB)
        if after > position:
            if after > len(text) and not is_last:
                break
            position, line = min(after, len(text)), line + 1
            continue
        after, num_values, line_breaks, problem = _record(
            text, position, is_last, first, second, ends_values, quotes, slots, num_records, starts, ends, written
        )
        if problem == WAIT:
            break
        if problem == FINE and width >= 0 and num_values != width:
            problem = RAGGED
        if problem != FINE:
            return num_records, position, line, problem, num_values
        lines[num_records] = line
        position, line, num_records = min(after, len(text)), line + 1 + line_breaks, num_records + 1
        if width < 0:
            break
    return num_records, position, line, FINE, num_values


@kernel_inline
def _after_blank_line(text: np.ndarray, at: int, tabs_are_blank: bool) -> int:
    """Where the next line begins if this one is blank; beyond the text if that ends the line, else `at`."""
    start = at
    while at < len(text) and (text[at] == BLANK or (tabs_are_blank and text[at] == TAB)):
        at += 1
    if at < len(text) and text[at] == RETURN:
        at += 1
    return at + 1 if at == len(text) or text[at] == LINE_FEED else start


@kernel_inline
def _record(
    text: np.ndarray,
    at: int,
    is_last: bool,
    first: int,
    second: int,
    ends_values: np.ndarray,
    quotes: int,
    slots: np.ndarray,
    record: int,
    starts: np.ndarray,
    ends: np.ndarray,
    written: np.ndarray,
) -> tuple[int, int, int, int]:
    """Fills in one record: where the next begins, its values, the line breaks within, and what is wrong with it."""
    num_values, line_breaks = 0, 0
    while True:
        start, how, problem = at, PLAIN, FINE
        if quotes != NO_QUOTES and at < len(text) and text[at] == QUOTE:
            start += 1
            stop, at, how, breaks, problem = _marked_value(text, start, quotes)
            line_breaks += breaks
        else:
            stop, problem = _plain_value(text, at, first, second, ends_values)
            at = stop
        if at >= len(text) and not is_last:
            return at, num_values, line_breaks, WAIT
        if problem != FINE:
            return at, num_values, line_breaks, problem
        if how == PLAIN and stop > start and text[stop - 1] == RETURN and _is_end(text, stop):
            stop -= 1
        if num_values < len(slots) and slots[num_values] >= 0:
            slot = slots[num_values]
            starts[slot, record], ends[slot, record], written[slot, record] = start, stop, how
        num_values += 1
        if at >= len(text) or text[at] == LINE_FEED:
            return at + 1, num_values, line_breaks, FINE
        if how != PLAIN and not _is_separator(text, at, first, second):
            return at, num_values, line_breaks, AFTER_QUOTE
        at += 1 if second < 0 else 2


@kernel_inline
def _plain_value(text: np.ndarray, at: int, first: int, second: int, ends_values: np.ndarray) -> tuple[int, int]:
    """Where a value without marks ends, and what is wrong with it."""
    while True:
        while at < len(text) and not ends_values[text[at]]:
            at += 1
        if at == len(text) or text[at] == LINE_FEED or _is_separator(text, at, first, second):
            return at, FINE
        if text[at] == 0:
            return at, NUL
        at += 1


@kernel
def _marked_value(text: np.ndarray, at: int, quotes: int) -> tuple[int, int, int, int, int]:
    """Of a value behind its first mark: where it ends, what follows, how it is written, line breaks, what is wrong."""
    how, line_breaks = QUOTED, 0
    while at < len(text):
        byte = text[at]
        if byte == QUOTE:
            if at + 1 == len(text) or text[at + 1] != QUOTE:
                has_return = at + 1 < len(text) and text[at + 1] == RETURN and _is_end(text, at + 2)
                return at, at + 1 + has_return, how, line_breaks, FINE
            how, at = DOUBLED, at + 1
        elif byte == LINE_FEED:
            if quotes == ONE_LINE:
                return at, at, how, line_breaks, UNCLOSED
            line_breaks += 1
        elif byte == 0:
            return at, at, how, line_breaks, NUL
        at += 1
    return at, at, how, line_breaks, UNCLOSED


@kernel_inline
def _is_end(text: np.ndarray, at: int) -> bool:
    """Whether a line ends there."""
    return at >= len(text) or text[at] == LINE_FEED


@kernel_inline
def _is_separator(text: np.ndarray, at: int, first: int, second: int) -> bool:
    return text[at] == first and (second < 0 or (at + 1 < len(text) and text[at + 1] == second))


def values_of(text: np.ndarray, starts: np.ndarray, ends: np.ndarray, written: np.ndarray) -> pa.Array:
    """The values of one column as an Arrow array of texts, not checked to be UTF-8; null where nothing is written."""
    offsets = np.zeros(len(starts) + 1, dtype=np.int64)
    np.cumsum(ends - starts, out=offsets[1:])
    letters = np.empty(offsets[-1], dtype=np.uint8)
    _copy(text, starts, ends, written, letters, offsets)
    is_there = np.packbits((ends > starts) | (written != PLAIN), bitorder="little")
    buffers = [pa.py_buffer(is_there), pa.py_buffer(offsets), pa.py_buffer(letters[: offsets[-1]])]
    return pa.Array.from_buffers(pa.large_string(), len(starts), buffers)


@kernel
def _copy(
    text: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    written: np.ndarray,
    letters: np.ndarray,
    offsets: np.ndarray,
) -> None:
    """Copies every value; two marks for one become one, and the offsets what that leaves."""
    size = 0
    for k in range(len(starts)):
        offsets[k] = size
        at = starts[k]
        while at < ends[k]:
            letters[size] = text[at]
            size += 1
            at += 2 if written[k] == DOUBLED and text[at] == QUOTE else 1
    offsets[len(starts)] = size
