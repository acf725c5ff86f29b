"""What is left out before the split: duplicates, and users and items with too few interactions."""

from __future__ import annotations

import dataclasses

import numpy as np

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.data.prepare.counting_sort import count, group, row_offsets, sort_row
from dualgnn_dist.data.prepare.interactions import InteractionTable
from dualgnn_dist.data.prepare.scratch import Scratch


def drop_duplicates(table: InteractionTable, num_users: int, scratch: Scratch) -> InteractionTable:
    """One interaction a (user, item), in that order.

    Of several the earliest stays, by time where there are timestamps, else by their order in the input; where the
    splits are given, the training one, so that nothing held out was seen in training. Weights are added up.
    """
    offsets = row_offsets(table.users, num_users)
    by_user = InteractionTable(
        **{
            name: group(column, table.users, offsets, scratch.empty(len(table), column.dtype))
            for name, column in table.columns.items()
        }
    )
    rows = scratch.positions(len(table))
    ranks = by_user.timestamps, by_user.fractions, by_user.splits
    if by_user.weights is None:
        size = _first_of_pairs(offsets, by_user.items, *ranks, None, rows, None)
        return scratch.stack(by_user.take(rows[part]) for part in scratch.blocks(size))
    sums = scratch.empty(len(table), np.float64)
    size = _first_of_pairs(offsets, by_user.items, *ranks, by_user.weights, rows, sums)
    blocks = ((by_user.take(rows[part]), sums[part]) for part in scratch.blocks(size))
    return scratch.stack(dataclasses.replace(block, weights=weights) for block, weights in blocks)


def drop_light(table: InteractionTable, min_weight: float, scratch: Scratch) -> InteractionTable:
    """The interactions that weigh enough, without their weights. Raises UserError: there is none."""
    assert table.weights is not None
    weights, unweighted = table.weights, dataclasses.replace(table, weights=None)
    parts = scratch.blocks(len(table))
    heavy = scratch.stack(unweighted.take(part).take(weights[part] >= min_weight) for part in parts)
    if not len(heavy):
        raise UserError(f"prepare.options.min_weight={min_weight:g} leaves no interaction; choose a smaller one")
    return heavy


def k_core(table: InteractionTable, k: int, num_users: int, num_items: int, scratch: Scratch) -> InteractionTable:
    """The largest part in which every user and every item has at least k interactions.

    Raises:
        UserError: nothing is left.
    """
    users, items = np.ones(num_users, dtype=bool), np.ones(num_items, dtype=bool)  # those that stay
    num_before = -1
    while True:
        user_degrees, item_degrees = _degrees(table.users, table.items, users, items)
        num_left = int(user_degrees.sum())
        if not num_left:
            raise UserError(f"prepare.k_core={k} leaves no interaction; choose a smaller one")
        if num_left == num_before:
            break
        users, items, num_before = user_degrees >= k, item_degrees >= k, num_left
    blocks = (table.take(part) for part in scratch.blocks(len(table)))
    return scratch.stack(block.take(users[block.users] & items[block.items]) for block in blocks)


def compact(
    table: InteractionTable,
    num_users: int,
    num_items: int,
    scratch: Scratch,
    stays: np.ndarray | None = None,
) -> tuple[InteractionTable, np.ndarray, np.ndarray]:
    """Renumbers without the users and items that have no interaction; int64 old rows of the new ones, ascending.

    Args:
        stays: bool [num_items], the items that are kept even so; None: there is none.
    """
    users, new_users = _renumber(table.users, num_users, scratch)
    items, new_items = _renumber(table.items, num_items, scratch, stays)
    return dataclasses.replace(table, users=new_users, items=new_items), users, items


def _renumber(
    rows: np.ndarray, num_rows: int, scratch: Scratch, stays: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    occurs = count(rows, num_rows) > 0
    kept = np.flatnonzero(occurs if stays is None else occurs | stays)
    if len(kept) == num_rows:
        return kept, rows
    new = np.full(num_rows, -1, dtype=np.int32)
    new[kept] = np.arange(len(kept))
    renumbered = scratch.empty(len(rows), np.int32)
    for part in scratch.blocks(len(rows)):
        renumbered[part] = new[rows[part]]
    return kept, renumbered


@kernel
def _first_of_pairs(
    offsets: np.ndarray,
    items: np.ndarray,
    timestamps: np.ndarray | None,
    fractions: np.ndarray | None,
    splits: np.ndarray | None,
    weights: np.ndarray | None,
    rows: np.ndarray,
    sums: np.ndarray | None,
) -> int:
    """Fills in the row of every different item of every user, items ascending, and the sum of the weights of its rows.

    Returns how many there are.
    """
    order = np.empty(np.diff(offsets).max(), dtype=np.int64)
    size = 0
    for user in range(len(offsets) - 1):
        start, end = offsets[user], offsets[user + 1]
        mine = order[: end - start]
        for k in range(len(mine)):
            mine[k] = k
        sort_row(mine, items[start:end])
        for k in range(len(mine)):
            row = start + mine[k]
            if k == 0 or items[row] != items[start + mine[k - 1]]:
                rows[size] = row
                size += 1
                if sums is not None:
                    sums[size - 1] = 0.0
            elif _is_earlier(row, rows[size - 1], timestamps, fractions, splits):
                rows[size - 1] = row
            if sums is not None and weights is not None:
                sums[size - 1] += weights[row]
    return size


@kernel
def _is_earlier(
    row: int,
    other: int,
    timestamps: np.ndarray | None,
    fractions: np.ndarray | None,
    splits: np.ndarray | None,
) -> bool:
    """Whether a row goes before another that stands before it in the input."""
    if splits is not None and splits[row] != splits[other]:
        return splits[row] < splits[other]
    if timestamps is not None and timestamps[row] != timestamps[other]:
        return timestamps[row] < timestamps[other]
    return fractions is not None and fractions[row] < fractions[other]


@kernel
def _degrees(
    users: np.ndarray, items: np.ndarray, kept_users: np.ndarray, kept_items: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """int64 degrees of users and items among the pairs of which both stay."""
    user_degrees = np.zeros(len(kept_users), dtype=np.int64)
    item_degrees = np.zeros(len(kept_items), dtype=np.int64)
    for k in range(len(users)):
        if kept_users[users[k]] and kept_items[items[k]]:
            user_degrees[users[k]] += 1
            item_degrees[items[k]] += 1
    return user_degrees, item_degrees
