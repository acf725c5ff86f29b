"""The users of popular items as rows of bits, and the memory in which one user's rows are added and selected from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dualgnn_dist.base.csr import CSRHandle, ShardedCSR, row_span
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.raw_reads import load_int32
from dualgnn_dist.data.prepare.cooccurrence.bit_vectors import BITS, WORDS, aligned_rows

ONE = np.uint64(1)
# An item gets a row of bits if it has one user in so many. Fewer, and the list is read faster than the row; and a row
# (U / 8 bytes) is at most 8 times as large as the list of the item's users (4 bytes each) in this way.
POPULAR_ONE_IN = 256
GROUP = 8  # rows that are added at a time


class Bitmaps(NamedTuple):
    """The popular items' users as bits.

    Args:
        words: uint64 [rows, words], bit `u % 64` of word `u // 64` is user u. Row 0 is empty.
        row_of: int32 [I], an item's row; 0: it has none.
    """

    words: np.ndarray
    row_of: np.ndarray

    @classmethod
    def make(cls, item_user: ShardedCSR, num_users: int, limit: int) -> Bitmaps:
        """Of the popular among the items with at most `limit` users."""
        degrees = item_user.degrees()
        items = np.flatnonzero((degrees * np.int64(POPULAR_ONE_IN) >= max(1, num_users)) & (degrees <= limit))
        items = items[degrees[items] > 0]
        words = aligned_rows(len(items) + 1, -(-num_users // BITS) * WORDS)
        _set_bits(item_user.handle, items, words)
        row_of = np.zeros(item_user.num_rows, dtype=np.int32)
        row_of[items] = np.arange(1, len(items) + 1)
        return cls(words, row_of)


class BitmapsHandle(NamedTuple):
    """What a kernel reads: addresses, so that it is the same kernel whether the arrays may be written or not."""

    words: int
    row_of: int
    num_vectors: int

    @classmethod
    def of(cls, bitmaps: Bitmaps) -> BitmapsHandle:
        """Valid as long as `bitmaps` is held."""
        return cls(bitmaps.words.ctypes.data, bitmaps.row_of.ctypes.data, bitmaps.words.shape[1] // WORDS)


class BitScratch(NamedTuple):
    """What one thread counts in; planes from 3 on and `histogram` are zero between users."""

    planes: np.ndarray  # uint64 [digits, words]
    heaviest: np.ndarray  # uint64 [words]: users that are among the K heaviest, a bit each
    ties: np.ndarray  # uint64 [words]: users of the count with which the K are full
    rows: np.ndarray  # int64 [largest degree + 8]: addresses of the bitmaps to add
    histogram: np.ndarray  # int32 [largest count + 1]
    users: np.ndarray  # int32 [K + 2]: two more, for writes that are not kept
    counts: np.ndarray  # int32 [K]

    @classmethod
    def make(cls, num_vectors: int, largest_degree: int, k: int) -> BitScratch:
        """For users of whom none has more items than `largest_degree`."""
        num_words = num_vectors * WORDS
        planes = aligned_rows(max(3, largest_degree.bit_length()), num_words)  # three are written whatever the degree
        heaviest, ties = aligned_rows(2, num_words)
        rows = np.zeros(largest_degree + GROUP, dtype=np.int64)
        numbers = (np.zeros(size, dtype=np.int32) for size in (largest_degree + 1, k + 2, k))
        return cls(planes, heaviest, ties, rows, *numbers)


@kernel
def popular_pairs(user_item: CSRHandle, item_user: CSRHandle, bitmaps: BitmapsHandle, user: int) -> int:
    """How many (item, other user) pairs a user has by items with a row of bits."""
    pairs = 0
    shard, start, num_items = row_span(user_item, user)
    for i in range(start, start + num_items):
        item = load_int32(user_item.neighbors[shard], i)
        if load_int32(bitmaps.row_of, item):
            pairs += row_span(item_user, item)[2]
    return pairs


@kernel
def _set_bits(item_user: CSRHandle, items: np.ndarray, words: np.ndarray) -> None:
    """Row r + 1 of `words` = the users of `items[r]`."""
    for r in range(len(items)):
        shard, start, num_users = row_span(item_user, items[r])
        for j in range(start, start + num_users):
            user = load_int32(item_user.neighbors[shard], j)
            words[r + 1, user >> 6] |= ONE << np.uint64(user & 63)
