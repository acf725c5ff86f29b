"""Which interactions train and which are held out. No user and no item is lost: every one keeps its row.

The splits within a user (`random`, `user_time`, `leave_one_out`) leave every user at least one training interaction.
`cold_items` holds out all interactions of some items, and splits those of the others at random within a user.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.data.prepare.counting_sort import count, row_offsets, sort_row
from dualgnn_dist.data.prepare.interactions import InteractionTable
from dualgnn_dist.data.prepare.raw_data import SPLIT_CODES
from dualgnn_dist.data.prepare.scratch import Scratch

SplitMethod = Literal["given", "random", "leave_one_out", "user_time", "global_time", "cold_items"]
Times = tuple[np.ndarray | None, np.ndarray | None]
"""The timestamps of interactions and their fractions, where there are any."""

BY_TIME: tuple[SplitMethod, ...] = ("leave_one_out", "user_time", "global_time")
NO_TIMES: Times = (None, None)
TRAIN, VALID, TEST = SPLIT_CODES["train"], SPLIT_CODES["valid"], SPLIT_CODES["test"]


def split(
    table: InteractionTable,
    method: SplitMethod,
    shares: tuple[float, float, float],
    num_users: int,
    seed: int,
    scratch: Scratch,
    cold_share: float = 0.0,
) -> np.ndarray:
    """int8 [E] codes as in `SPLIT_CODES`.

    Args:
        table: a user's interactions must stand together, users ascending.
        shares: of training, validation and test; `given` and `leave_one_out` need none.
        cold_share: of the items, for `cold_items`.

    Raises:
        UserError: the data lacks what the method needs, or a split would be empty.
    """
    generator = np.random.default_rng(seed)
    if method == "given":
        codes = _given(table, scratch)
    elif method == "global_time":
        codes = _by_global_time(_timestamps(table, method), table.fractions, shares, scratch)
    elif method == "cold_items":
        codes = _by_item(table, shares, num_users, cold_share, generator, scratch)
    else:
        times = (_timestamps(table, method), table.fractions) if method in BY_TIME else NO_TIMES
        given_shares = None if method == "leave_one_out" else shares
        codes = _within_users(row_offsets(table.users, num_users), times, given_shares, generator, scratch)
    sizes = count(codes, len(SPLIT_CODES))
    for name, code in SPLIT_CODES.items():
        if not sizes[code]:
            raise UserError(
                f"the split {method!r} leaves no {name} interaction of {len(codes)}; choose another prepare.split"
                + ("" if method in ("given", "leave_one_out") else f" or other split_shares than {list(shares)}")
            )
    return codes


def _given(table: InteractionTable, scratch: Scratch) -> np.ndarray:
    if table.splits is None:
        raise UserError("prepare.split is 'given', but the input names no splits; choose another, such as 'random'")
    for part in scratch.blocks(len(table)):
        codes = table.splits[part]
        wrong = (codes < TRAIN) | (codes > TEST)
        if wrong.any():
            raise UserError(f"the input has a split label {codes[wrong][0]}; labels are {SPLIT_CODES}")
    return table.splits


def _within_users(
    offsets: np.ndarray,
    times: Times,
    shares: tuple[float, float, float] | None,
    generator: np.random.Generator,
    scratch: Scratch,
) -> np.ndarray:
    """Sorts every user's interactions by time or at random; the last are the test, those before them the validation.

    Args:
        offsets: int64 [U + 1], where the users' interactions begin.
        times: those of one time stand in random order; without times, all do.
        shares: None: one interaction each.
    """
    places = _inverse(scratch.permutation(int(offsets[-1]), generator), scratch.positions(int(offsets[-1])))
    degrees = np.diff(offsets)
    if shares is None:
        num_test, num_valid = np.minimum(1, degrees), np.minimum(1, degrees)
    else:
        num_test = _round_at_random(degrees * shares[2], generator)
        num_valid = _round_at_random(degrees * shares[1], generator)
    num_test = np.clip(num_test, 0, np.maximum(degrees - 1, 0))
    num_valid = np.clip(num_valid, 0, np.maximum(degrees - 1 - num_test, 0))
    codes = scratch.empty(len(places), np.int8)
    _hold_out_last(offsets, places, *times, num_test, num_valid, codes)
    return codes


def _by_item(
    table: InteractionTable,
    shares: tuple[float, float, float],
    num_users: int,
    cold_share: float,
    generator: np.random.Generator,
    scratch: Scratch,
) -> np.ndarray:
    """All interactions of a random share of the items are validation or test, in the proportion of those shares."""
    items = np.flatnonzero(count(table.items, int(table.items.max()) + 1))
    is_cold_item = np.zeros(items[-1] + 1, dtype=bool)
    is_cold_item[generator.permutation(items)[: round(cold_share * len(items))]] = True
    blocks = (table.take(part) for part in scratch.blocks(len(table)))
    warm = scratch.stack(block.take(~is_cold_item[block.items]) for block in blocks)
    warm_codes = _within_users(row_offsets(warm.users, num_users), NO_TIMES, shares, generator, scratch)
    codes = scratch.empty(len(table), np.int8)
    num_warm = 0
    for part in scratch.blocks(len(table)):
        is_cold = is_cold_item[table.items[part]]
        num_cold = int(np.count_nonzero(is_cold))
        is_test = generator.random(num_cold) * (shares[1] + shares[2]) < shares[2]
        codes[part][is_cold] = np.where(is_test, TEST, VALID)
        codes[part][~is_cold] = warm_codes[num_warm : num_warm + len(is_cold) - num_cold]
        num_warm += len(is_cold) - num_cold
    return codes


def _round_at_random(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    # Up with the probability of the fraction: users with few interactions are held out in the right share, too.
    return np.floor(values + generator.random(len(values))).astype(np.int64)


def _by_global_time(
    timestamps: np.ndarray, fractions: np.ndarray | None, shares: tuple[float, float, float], scratch: Scratch
) -> np.ndarray:
    """Cuts at two moments; interactions of one moment stay together."""
    ascending = scratch.empty(len(timestamps), np.int64)
    ascending[:] = timestamps
    ascending.sort()
    codes = scratch.empty(len(timestamps), np.int8)
    codes[:] = TRAIN
    for share in (shares[0], shares[0] + shares[1]):
        place = min(round(len(ascending) * share), len(ascending) - 1)
        cut, beyond_cut = ascending[place], 0.0
        if fractions is not None:  # of those of the same whole number, the one that stands there
            parts = (fractions[part][timestamps[part] == cut] for part in scratch.blocks(len(timestamps)))
            beyond_cut = np.sort(np.concatenate(list(parts)))[place - np.searchsorted(ascending, cut)]
        for part in scratch.blocks(len(timestamps)):
            beyond = 0.0 if fractions is None else fractions[part]
            codes[part] += (timestamps[part] > cut) | ((timestamps[part] == cut) & (beyond >= beyond_cut))
    return codes


def _timestamps(table: InteractionTable, method: SplitMethod) -> np.ndarray:
    if table.timestamps is None:
        raise UserError(
            f"prepare.split is {method!r}, but the input has no timestamps; name their column, or choose 'random'"
        )
    return table.timestamps


@kernel
def _inverse(permutation: np.ndarray, out: np.ndarray) -> np.ndarray:
    for place in range(len(permutation)):
        out[permutation[place]] = place
    return out


@kernel
def _hold_out_last(
    offsets: np.ndarray,
    places: np.ndarray,
    timestamps: np.ndarray | None,
    fractions: np.ndarray | None,
    num_test: np.ndarray,
    num_valid: np.ndarray,
    codes: np.ndarray,
) -> None:
    """Fills in the codes of every user's interactions, sorted by time, then place."""
    order = np.empty(np.diff(offsets).max(), dtype=np.int64)
    for user in range(len(offsets) - 1):
        start, end = offsets[user], offsets[user + 1]
        mine = order[: end - start]
        for k in range(len(mine)):
            mine[k] = k
        sort_row(mine, places[start:end])
        if fractions is not None:
            sort_row(mine, fractions[start:end])
        if timestamps is not None:
            sort_row(mine, timestamps[start:end])
        first_test = len(mine) - num_test[user]
        first_valid = first_test - num_valid[user]
        for k in range(len(mine)):
            codes[start + mine[k]] = TEST if k >= first_test else VALID if k >= first_valid else TRAIN
