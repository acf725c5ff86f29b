"""Users and items as people name them: raw ids on the command line, or one a line in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store

Kind = Literal["users", "items"]
RawId = str | int


def rows_of(store: Store, kind: Kind, raw_ids: Sequence[RawId], where: str = "") -> np.ndarray:
    """The rows of these raw ids, int64 [n].

    Args:
        where: what gave them, for a message: empty for the command line.

    Raises:
        UserError: the store lacks some of them; it names the first, and the nearest to it.
    """
    texts = [str(raw_id) for raw_id in raw_ids]
    rows = store.find_ids(kind, texts)
    unknown = np.flatnonzero(rows < 0)
    if not len(unknown):
        return rows
    text = texts[unknown[0]]
    more = f", nor {len(unknown) - 1:,} others of {len(texts):,}" if len(unknown) > 1 else ""
    at = f"{where}: " if where else ""
    raise UserError(
        f"{at}{store.path} has no {kind[:-1]} {text!r}{more}; did you mean {store.nearest_id(kind, text)!r}?"
    )


def ids_in(path: Path) -> list[str]:
    """The raw ids of a text file, one a line; empty lines are passed over.

    Raises:
        UserError: it cannot be read as text, or holds no id.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # an id may hold any other separator
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is no UTF-8 text ({error.reason} at byte {error.start}); give one id a line"
        ) from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); give a text file with one id a line") from error
    ids = [line for line in lines if line.strip()]
    if not ids:
        raise UserError(f"{path} holds no id; give a text file with one id a line")
    return ids
