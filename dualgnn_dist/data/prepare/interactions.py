"""Interactions as row indices, in columns: eight bytes each, 17 with a timestamp and a split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class InteractionTable:
    """Columns of E interactions, in memory or in `Scratch`.

    Args:
        users, items: int32 [E] row indices.
        timestamps: int64 [E], or None where the raw data has none.
        splits: int8 [E] as in `SPLIT_CODES`, or None.
        fractions: float64 [E], what the moments have beyond `timestamps`; None where they are whole numbers. They
            decide orders and are not stored.
        weights: float64 [E], what a row adds to its pair's weight; None where every row is an interaction.
    """

    users: np.ndarray
    items: np.ndarray
    timestamps: np.ndarray | None = None
    splits: np.ndarray | None = None
    fractions: np.ndarray | None = None
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.users)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """The columns that there are, by their names here."""
        return {name: column for name, column in vars(self).items() if column is not None}

    def take(self, rows: np.ndarray | slice) -> InteractionTable:
        """The chosen rows in memory, by positions or by a mask; of a slice, a view."""
        return InteractionTable(**{name: column[rows] for name, column in self.columns.items()})
