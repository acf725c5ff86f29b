"""What is asked for, and lists as arrays and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.results.raw_ids import Kind


class Lists(NamedTuple):
    """The best items of n users, or the items nearest to n items, best first.

    Attributes:
        items: int32 [n, k] rows of items; -1 where fewer than k are left.
        scores: float64 [n, k], the inner product or the cosine; -inf there.
    """

    items: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Request:
    """What is listed.

    Args:
        k: length of a list.
        include_seen: whether a user's own items of the store, of all splits, are listed too.
        candidates: int64 rows of the items that may be listed; None for those that the run is judged by.
    """

    k: int = 10
    include_seen: bool = False
    candidates: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UserError(f"k={self.k}: a list has at least one item")


def table_of(store: Store, kind: Kind, rows: np.ndarray, lists: Lists, measure: str = "score") -> pa.Table:
    """A row an entry of the lists of n users or items: raw ids, and the place from 1.

    Args:
        kind: whose lists they are: `users`, or `items` for those like an item.
        rows: int64 [n], of the users or items.
        measure: the name of the last column.

    Returns:
        `user` (or `like`), `rank` int32, `item`, `<measure>` float64; ids as in the raw data, int64 or string.
    """
    places, ranks = np.nonzero(lists.items >= 0)
    columns = {
        "user" if kind == "users" else "like": store.ids(kind, rows[places]),
        "rank": pa.array((ranks + 1).astype(np.int32)),
        "item": store.ids("items", lists.items[places, ranks]),
        measure: pa.array(lists.scores[places, ranks]),
    }
    return pa.table(columns)
