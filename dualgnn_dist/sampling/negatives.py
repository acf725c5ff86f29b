"""Negative items of an interaction, drawn from a distribution over the items outside the user's training row.

`uniform` takes every item alike: what the models' papers do. `popularity` takes an item in proportion to
degree ^ alpha: negatives that users have met, so that the model learns to tell tastes from fashions and ranks popular
items lower; items without a training interaction are never drawn. Several negatives an interaction are independent
draws; they lower the variance of a step at the cost of a larger subgraph.
"""

from __future__ import annotations

import numpy as np

from dualgnn_dist.base import randomness
from dualgnn_dist.base.csr import CSRHandle, ShardedCSR, contains, row_span
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.raw_reads import load_int32
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.sampling.config import SamplerConfig

_MAX_REJECTIONS = 64


class NegativeSampler:
    """Draws negatives; threads may share it.

    Args:
        user_item: training items of every user, sorted and distinct within a row.
        weights: float64 [I], what items are drawn in proportion to; None takes all I alike.
    """

    def __init__(self, user_item: ShardedCSR, num_items: int, weights: np.ndarray | None = None) -> None:
        self._user_item, self._num_items = user_item, num_items
        self._uniform = weights is None
        self._weights = np.empty(0) if weights is None else np.ascontiguousarray(weights, dtype=np.float64)
        assert weights is None or len(weights) == num_items
        self._keep, self._alias = alias_table(self._weights)

    @classmethod
    def of_store(cls, store: Store, config: SamplerConfig) -> NegativeSampler:
        """Over the items of a store, as the config wants them."""
        alpha = config.negative_alpha if config.negatives == "popularity" else 0.0
        # Items that were held out whole are not there yet when the model is trained, not even as negatives; as those
        # that nobody has met are, the model would learn to rank low what is new.
        is_uniform = alpha == 0.0 and not store.manifest.has_unseen_items
        weights = None if is_uniform else popularity_weights(store.item_user.degrees(), alpha)
        return cls(store.user_item, store.manifest.num_items, weights)

    def sample(
        self, users: np.ndarray, slots: np.ndarray, num_negatives: int, seed: int, epoch: int, step: int
    ) -> np.ndarray:
        """A function of (seed, epoch, step, slot, user) and nothing else; more negatives begin with the fewer.

        Args:
            users: int32 [b].
            slots: int64 [b], positions inside the global batch.

        Returns:
            int32 [b, num_negatives] items outside their user's training row.

        Raises:
            UserError: a user has every item that could be drawn.
        """
        assert users.dtype == np.int32 and slots.dtype == np.int64 and len(users) == len(slots)
        negatives = np.empty((len(users), num_negatives), dtype=np.int32)
        key = np.uint64(randomness.key(seed, epoch, step, randomness.NEGATIVES))
        fill = _fill_uniform if self._uniform else _fill_weighted
        tables = (self._num_items,) if self._uniform else (self._weights, self._keep, self._alias)
        failed = fill(self._user_item.handle, users, slots, *tables, key, negatives)
        if failed >= 0:
            raise UserError(
                f"user {users[failed]} (row index) has all {self._num_candidates} items that can be negatives in its "
                "training interactions, so there is no negative item to learn from: leave this user out of the data, "
                "or hold out some of its interactions"
            )
        return negatives

    @property
    def _num_candidates(self) -> int:
        return self._num_items if self._uniform else int(np.count_nonzero(self._weights))


def popularity_weights(item_degrees: np.ndarray, alpha: float) -> np.ndarray:
    """float64 [I]: degree ^ alpha, and 0 for an item without a training interaction, whatever alpha."""
    return np.where(item_degrees > 0, np.maximum(item_degrees, 1).astype(np.float64) ** alpha, 0.0)


@kernel
def alias_table(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walker's alias method (Vose 1991): one draw costs one uniform number, whatever the number of items.

    Returns:
        keep: float64 [I], the probability that a position stands for itself; alias: int32 [I], what it stands for else.
    """
    number = len(weights)
    keep, alias = np.ones(number), np.arange(number).astype(np.int32)
    scaled = weights * (number / max(weights.sum(), 1e-300))
    small, large = np.empty(number, dtype=np.int32), np.empty(number, dtype=np.int32)
    num_small, num_large = 0, 0
    for position in range(number):
        if scaled[position] < 1:
            small[num_small] = position
            num_small += 1
        else:
            large[num_large] = position
            num_large += 1
    while num_small and num_large:
        num_small -= 1
        low, high = small[num_small], large[num_large - 1]
        keep[low], alias[low] = scaled[low], high
        scaled[high] -= 1 - scaled[low]
        if scaled[high] < 1:
            num_large -= 1
            small[num_small] = high
            num_small += 1
    return keep, alias


@kernel
def _fill_uniform(
    user_item: CSRHandle, users: np.ndarray, slots: np.ndarray, num_items: int, key: np.uint64, negatives: np.ndarray
) -> int:
    """Fills `negatives`; returns the position of a user without negatives, or -1."""
    for k in range(len(users)):
        if row_span(user_item, users[k])[2] >= num_items:
            return k
        for n in range(negatives.shape[1]):
            item = randomness.below(randomness.random_bits(key, slots[k], 0, 2 * n), num_items)
            rejections = 0
            while rejections < _MAX_REJECTIONS and contains(user_item, users[k], item):
                rejections += 1
                item = randomness.below(randomness.random_bits(key, slots[k], rejections, 2 * n), num_items)
            if rejections == _MAX_REJECTIONS:  # the row is nearly full: count instead of guessing
                item = _select(user_item, users[k], randomness.random_bits(key, slots[k], 0, 2 * n + 1), num_items)
            negatives[k, n] = item
    return -1


@kernel
def _select(user_item: CSRHandle, user: int, bits: np.uint64, num_items: int) -> int:
    """A uniform item outside the row: draws its rank among them and walks the row past the neighbours below it."""
    shard, start, degree = row_span(user_item, user)
    item = randomness.below(bits, num_items - degree)
    for k in range(degree):
        if load_int32(user_item.neighbors[shard], start + k) > item:
            break
        item += 1
    return item


@kernel
def _fill_weighted(
    user_item: CSRHandle,
    users: np.ndarray,
    slots: np.ndarray,
    weights: np.ndarray,
    keep: np.ndarray,
    alias: np.ndarray,
    key: np.uint64,
    negatives: np.ndarray,
) -> int:
    """Fills `negatives`; returns the position of a user without negatives, or -1."""
    for k in range(len(users)):
        for n in range(negatives.shape[1]):
            rejections = 0
            item = _draw_weighted(keep, alias, randomness.random_bits(key, slots[k], 0, 2 * n))
            while rejections < _MAX_REJECTIONS and (weights[item] == 0 or contains(user_item, users[k], item)):
                rejections += 1
                item = _draw_weighted(keep, alias, randomness.random_bits(key, slots[k], rejections, 2 * n))
            if rejections == _MAX_REJECTIONS:  # the row holds nearly all of the weight: walk the rest of it
                item = _select_weighted(
                    user_item, users[k], randomness.random_bits(key, slots[k], 0, 2 * n + 1), weights
                )
                if item < 0:
                    return k
            negatives[k, n] = item
    return -1


@kernel
def _draw_weighted(keep: np.ndarray, alias: np.ndarray, bits: np.uint64) -> int:
    """One number decides both: its whole part the position, its fraction between position and alias."""
    point = randomness.unit(bits) * len(keep)
    position = int(point)
    if position == len(keep):  # the product was rounded up
        position -= 1
    return position if point - position < keep[position] else int(alias[position])


@kernel
def _select_weighted(user_item: CSRHandle, user: int, bits: np.uint64, weights: np.ndarray) -> int:
    """An item outside the row in proportion to its weight, by two walks over all items; -1 where there is none."""
    total = 0.0
    for item in range(len(weights)):
        if weights[item] > 0 and not contains(user_item, user, item):
            total += weights[item]
    point, passed, last = randomness.unit(bits) * total, 0.0, -1
    for item in range(len(weights)):
        if weights[item] > 0 and not contains(user_item, user, item):
            last = item
            passed += weights[item]
            if passed > point:
                break
    return last
