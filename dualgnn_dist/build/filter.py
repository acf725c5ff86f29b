"""What is left out before the split: duplicates, and users and items with too few interactions."""

from __future__ import annotations

import numpy as np

from dualgnn_dist.build.graph import sorted_pairs
from dualgnn_dist.build.table import InteractionTable
from dualgnn_dist.strict import UserError


def drop_duplicates(table: InteractionTable, num_users: int, num_items: int) -> InteractionTable:
    """One interaction a (user, item), in that order.

    Of several the earliest stays, by time where there are timestamps, else by their order in the input; where the
    splits are given, the training one, so that nothing held out was seen in training.
    """
    if table.timestamps is not None:
        table = table.take(np.argsort(table.timestamps, kind="stable"))
    if table.splits is not None:
        table = table.take(np.argsort(table.splits, kind="stable"))
    order = sorted_pairs(table.users, table.items, num_users, num_items)
    users, items = table.users[order], table.items[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
    return table.take(order[first])


def k_core(table: InteractionTable, k: int, num_users: int, num_items: int) -> InteractionTable:
    """The largest part in which every user and every item has at least k interactions.

    Raises:
        UserError: nothing is left.
    """
    while True:
        user_degrees = np.bincount(table.users, minlength=num_users)
        item_degrees = np.bincount(table.items, minlength=num_items)
        kept = (user_degrees[table.users] >= k) & (item_degrees[table.items] >= k)
        if not kept.any():
            raise UserError(f"prepare.k_core={k} leaves no interaction; choose a smaller one")
        if kept.all():
            return table
        table = table.take(kept)


def compact(table: InteractionTable, num_users: int, num_items: int) -> tuple[InteractionTable, np.ndarray, np.ndarray]:
    """Renumbers without the users and items that have no interaction; int64 old rows of the new ones, ascending."""
    users, new_users = _renumber(table.users, num_users)
    items, new_items = _renumber(table.items, num_items)
    return InteractionTable(new_users, new_items, table.timestamps, table.splits), users, items


def _renumber(rows: np.ndarray, num_rows: int) -> tuple[np.ndarray, np.ndarray]:
    kept = np.flatnonzero(np.bincount(rows, minlength=num_rows))
    new = np.full(num_rows, -1, dtype=np.int32)
    new[kept] = np.arange(len(kept))
    return kept, new[rows]
