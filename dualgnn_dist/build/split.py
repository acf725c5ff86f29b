"""Which interactions train and which are held out. No user and no item is lost: every one keeps its row.

The splits within a user (`random`, `user_time`, `leave_one_out`) leave every user at least one training interaction.
`cold_items` holds out all interactions of some items, and splits those of the others at random within a user.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from dualgnn_dist.build.graph import row_offsets, stable_order
from dualgnn_dist.build.raw import SPLIT_CODES
from dualgnn_dist.build.table import InteractionTable
from dualgnn_dist.strict import UserError

Split = Literal["given", "random", "leave_one_out", "user_time", "global_time", "cold_items"]
TRAIN, VALID, TEST = SPLIT_CODES["train"], SPLIT_CODES["valid"], SPLIT_CODES["test"]


def split(
    table: InteractionTable,
    method: Split,
    shares: tuple[float, float, float],
    num_users: int,
    seed: int,
    cold_share: float = 0.0,
) -> np.ndarray:
    """int8 [E] codes as in `SPLIT_CODES`.

    Args:
        shares: of training, validation and test; `given` and `leave_one_out` need none.
        cold_share: of the items, for `cold_items`.

    Raises:
        UserError: the data lacks what the method needs, or a split would be empty.
    """
    if method == "given":
        codes = _given(table)
    elif method == "global_time":
        codes = _by_global_time(_timestamps(table, method), shares)
    elif method == "cold_items":
        codes = _by_item(table, shares, num_users, cold_share, np.random.default_rng(seed))
    else:
        generator = np.random.default_rng(seed)
        codes = _within_users(table, method, shares, num_users, generator)
    for name, code in SPLIT_CODES.items():
        if not (codes == code).any():
            raise UserError(
                f"the split {method!r} leaves no {name} interaction of {len(codes)}; choose another prepare.split"
                + ("" if method in ("given", "leave_one_out") else f" or other split_shares than {list(shares)}")
            )
    return codes


def _given(table: InteractionTable) -> np.ndarray:
    if table.splits is None:
        raise UserError("prepare.split is 'given', but the input names no splits; choose another, such as 'random'")
    wrong = (table.splits < TRAIN) | (table.splits > TEST)
    if wrong.any():
        raise UserError(f"the input has a split label {table.splits[wrong][0]}; labels are {SPLIT_CODES}")
    return table.splits


def _within_users(
    table: InteractionTable,
    method: Split,
    shares: tuple[float, float, float],
    num_users: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Sorts every user's interactions by time or at random; the last are the test, those before them the validation."""
    timed = method == "user_time" or (method == "leave_one_out" and table.timestamps is not None)
    order = generator.permutation(len(table))
    if timed:  # a stable sort after the permutation: equal times in random order
        order = order[np.argsort(_timestamps(table, method)[order], kind="stable")]
    order = order[stable_order(table.users[order], num_users)]
    offsets = row_offsets(table.users, num_users)
    degrees = np.diff(offsets)
    if method == "leave_one_out":
        num_test, num_valid = np.minimum(1, degrees), np.minimum(1, degrees)
    else:
        num_test = _round_at_random(degrees * shares[2], generator)
        num_valid = _round_at_random(degrees * shares[1], generator)
    num_test = np.clip(num_test, 0, np.maximum(degrees - 1, 0))
    num_valid = np.clip(num_valid, 0, np.maximum(degrees - 1 - num_test, 0))
    users = table.users[order]
    from_end = offsets[1:][users] - 1 - np.arange(len(order))
    codes = np.empty(len(order), dtype=np.int8)
    codes[order] = np.where(
        from_end < num_test[users], TEST, np.where(from_end < (num_test + num_valid)[users], VALID, TRAIN)
    )
    return codes


def _by_item(
    table: InteractionTable,
    shares: tuple[float, float, float],
    num_users: int,
    cold_share: float,
    generator: np.random.Generator,
) -> np.ndarray:
    """All interactions of a random share of the items are validation or test, in the proportion of those shares."""
    items = np.unique(table.items)
    cold_items = generator.permutation(items)[: round(cold_share * len(items))]
    is_cold = np.isin(table.items, cold_items)
    codes = np.empty(len(table), dtype=np.int8)
    codes[~is_cold] = _within_users(table.take(~is_cold), "random", shares, num_users, generator)
    is_test = generator.random(np.count_nonzero(is_cold)) * (shares[1] + shares[2]) < shares[2]
    codes[is_cold] = np.where(is_test, TEST, VALID)
    return codes


def _round_at_random(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    # Up with the probability of the fraction: users with few interactions are held out in the right share, too.
    return np.floor(values + generator.random(len(values))).astype(np.int64)


def _by_global_time(timestamps: np.ndarray, shares: tuple[float, float, float]) -> np.ndarray:
    """Cuts at two moments; interactions of one moment stay together."""
    ascending = np.sort(timestamps)
    cuts = [min(round(len(ascending) * share), len(ascending) - 1) for share in (shares[0], shares[0] + shares[1])]
    return np.searchsorted(ascending[cuts], timestamps, side="right").astype(np.int8)


def _timestamps(table: InteractionTable, method: Split) -> np.ndarray:
    if table.timestamps is None:
        raise UserError(
            f"prepare.split is {method!r}, but the input has no timestamps; name their column or choose 'random'"
        )
    return table.timestamps
