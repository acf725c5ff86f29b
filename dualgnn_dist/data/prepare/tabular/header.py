"""What looks wrong with the names of columns, and which option mends it."""

from __future__ import annotations

from collections.abc import Sequence

MOJIBAKE = ("\u00c3", "\u00c2", "\u00ef\u00bb\u00bf", "\ufffd")  # UTF-8 that was taken for Latin-1, and what was lost


def hint(columns: Sequence[str]) -> str:
    """Words behind a refusal that names a column; empty where the header looks like one."""
    if len(columns) == 1:
        separator = max(",;|\t", key=columns[0].count)
        if separator in columns[0]:
            name = "\\t" if separator == "\t" else separator
            return f"; its header is one column, {columns[0]!r}: set \"prepare.options.separator='{name}'\""
    if columns and all(_is_number(name) for name in columns if name) and any(columns):
        return "; its first line looks like data: name the columns as prepare.options.columns=[user,item,...]"
    broken = next((name for name in columns if any(mark in name for mark in MOJIBAKE)), None)
    if broken is not None:
        return f"; {broken!r} looks like another encoding: set prepare.options.encoding"
    return ""


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True
