"""One negative item an interaction: uniform over the items outside the user's training row."""

from __future__ import annotations

import numpy as np
from numba import njit

from dualgnn_dist.csr import CSRHandle, ShardedCSR, contains, load_int32, row_span
from dualgnn_dist.sampling import hash
from dualgnn_dist.strict import UserError

_MAX_REJECTIONS = 64


def sample_negatives(
    user_item: ShardedCSR, users: np.ndarray, slots: np.ndarray, num_items: int, seed: int, epoch: int, step: int
) -> np.ndarray:
    """Draws a negative for each interaction; it depends on (seed, epoch, step, slot, user) and nothing else.

    Args:
        user_item: training items of every user, sorted and distinct within a row.
        users: int32 [b].
        slots: int64 [b], positions inside the global batch.

    Returns:
        int32 [b] items, each uniform over the items that are not in its user's training row.

    Raises:
        UserError: a user has every item, so that there is no negative.
    """
    assert users.dtype == np.int32 and slots.dtype == np.int64 and len(users) == len(slots)
    negatives = np.empty(len(users), dtype=np.int32)
    failed = _fill_negatives(user_item.handle, users, slots, num_items, seed, epoch, step, negatives)
    if failed >= 0:
        raise UserError(
            f"user {users[failed]} (row index) has all {num_items} items in its training interactions, so there is no "
            "negative item to learn from: leave this user out of the data, or hold out some of its interactions"
        )
    return negatives


@njit(nogil=True, cache=True)
def _fill_negatives(
    user_item: CSRHandle,
    users: np.ndarray,
    slots: np.ndarray,
    num_items: int,
    seed: int,
    epoch: int,
    step: int,
    negatives: np.ndarray,
) -> int:
    """Fills `negatives`; returns the position of a user without negatives, or -1."""
    key = hash.key(seed, epoch, step, hash.NEGATIVES)
    for k in range(len(users)):
        if row_span(user_item, users[k])[2] >= num_items:
            return k
        item = hash.below(hash.draw(key, slots[k], 0, 0), num_items)
        rejections = 0
        while rejections < _MAX_REJECTIONS and contains(user_item, users[k], item):
            rejections += 1
            item = hash.below(hash.draw(key, slots[k], rejections, 0), num_items)
        if rejections == _MAX_REJECTIONS:  # the row is nearly full: count instead of guessing
            item = _select(user_item, users[k], hash.draw(key, slots[k], 0, 1), num_items)
        negatives[k] = item
    return -1


@njit(nogil=True, cache=True)
def _select(user_item: CSRHandle, user: int, bits: np.uint64, num_items: int) -> int:
    """A uniform item outside the row: draws its rank among them and walks the row past the neighbours below it."""
    shard, start, degree = row_span(user_item, user)
    item = hash.below(bits, num_items - degree)
    for k in range(degree):
        if load_int32(user_item.neighbors[shard], start + k) > item:
            break
        item += 1
    return item
