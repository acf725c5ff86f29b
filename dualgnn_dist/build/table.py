"""Interactions in memory, as row indices: eight bytes each, thirteen or so with a timestamp and a split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class InteractionTable:
    """Columns of E interactions.

    Args:
        users, items: int32 [E] row indices.
        timestamps: int64 [E], or None where the raw data has none.
        splits: int8 [E] as in `SPLIT_CODES`, or None.
    """

    users: np.ndarray
    items: np.ndarray
    timestamps: np.ndarray | None = None
    splits: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: np.ndarray) -> InteractionTable:
        """The chosen rows, by positions or by a mask."""
        timestamps = None if self.timestamps is None else self.timestamps[rows]
        splits = None if self.splits is None else self.splits[rows]
        return InteractionTable(self.users[rows], self.items[rows], timestamps, splits)
