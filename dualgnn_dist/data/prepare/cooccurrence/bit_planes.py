"""Counts of one user's co-users by bit planes: for users whose items are so popular that most users share one.

An item is a row of bits, one a user. A user's counts are a sum of such rows, kept as binary digits: plane l holds bit l
of every count. Adding a row is a few logical instructions for 512 users at once, however many of them share the item,
where a counter a user costs an increment for each. The K heaviest are found plane by plane from the highest, too: those
with the bit come before those without.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dualgnn_dist.base.csr import CSRHandle, ShardedCSR, row_span
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.raw_reads import load_int32
from dualgnn_dist.data.prepare.cooccurrence.bit_vectors import (
    BITS,
    WORDS,
    add_counts,
    aligned_rows,
    any_bit,
    bit_count,
    both,
    differ,
    either,
    full_adder,
    load_bits,
    no_bits,
    store_bits,
    total_count,
    trailing_zeros,
    without,
    word_counts,
)

ONE = np.uint64(1)
# An item gets a row of bits if it has one user in so many. Fewer, and the list is read faster than the row; and a row
# (U / 8 bytes) is at most 8 times as large as the list of the item's users (4 bytes each) in this way.
POPULAR_ONE_IN = 256
_GROUP = 8  # rows that are added at a time


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
    chosen: np.ndarray  # uint64 [words]
    ties: np.ndarray  # uint64 [words]
    rows: np.ndarray  # int64 [largest degree + 8]: addresses of the bitmaps to add
    histogram: np.ndarray  # int32 [largest count + 1]
    users: np.ndarray  # int32 [K + 2]: two more, for writes that are not kept
    counts: np.ndarray  # int32 [K]

    @classmethod
    def make(cls, num_vectors: int, largest_degree: int, k: int) -> BitScratch:
        """For users of whom none has more items than `largest_degree`."""
        num_words = num_vectors * WORDS
        planes = aligned_rows(max(3, largest_degree.bit_length()), num_words)  # three are written whatever the degree
        chosen, ties = aligned_rows(2, num_words)
        rows = np.zeros(largest_degree + _GROUP, dtype=np.int64)
        numbers = (np.zeros(size, dtype=np.int32) for size in (largest_degree + 1, k + 2, k))
        return cls(planes, chosen, ties, rows, *numbers)


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
def heaviest_by_bits(
    user_item: CSRHandle,
    item_user: CSRHandle,
    limit: int,
    bitmaps: BitmapsHandle,
    user: int,
    scratch: BitScratch,
    neighbors: np.ndarray,
    counts: np.ndarray,
) -> int:
    """Fills in a user's heaviest co-users with their counts, heavier first, then by index; returns how many."""
    planes = scratch.planes
    used = _add_rows(_popular_rows(user_item, bitmaps, user, scratch.rows), bitmaps.num_vectors, scratch)
    shard, start, num_items = row_span(user_item, user)
    for i in range(start, start + num_items):
        item = load_int32(user_item.neighbors[shard], i)
        item_shard, first, num_users = row_span(item_user, item)
        if num_users <= limit and not load_int32(bitmaps.row_of, item):
            used = max(used, _add_list(item_user.neighbors[item_shard], first, num_users, planes))
    for plane in range(used):  # not its own neighbour
        planes[plane, user >> 6] &= ~(ONE << np.uint64(user & 63))
    missing = _choose(len(neighbors), used, bitmaps.num_vectors, scratch)
    _choose_ties(missing, bitmaps.num_vectors, scratch)
    length = _list_chosen(bitmaps.num_vectors, scratch)
    _order(length, used, scratch, neighbors, counts)
    planes[3:used] = 0  # the first three are written anew
    return length


@kernel
def _set_bits(item_user: CSRHandle, items: np.ndarray, words: np.ndarray) -> None:
    """Row r + 1 of `words` = the users of `items[r]`."""
    for r in range(len(items)):
        shard, start, num_users = row_span(item_user, items[r])
        for j in range(start, start + num_users):
            user = load_int32(item_user.neighbors[shard], j)
            words[r + 1, user >> 6] |= ONE << np.uint64(user & 63)


@kernel
def _popular_rows(user_item: CSRHandle, bitmaps: BitmapsHandle, user: int, rows: np.ndarray) -> int:
    """Writes the addresses of the user's bitmaps into `rows`, filled up to whole groups with the empty one."""
    size = 0
    stride = bitmaps.num_vectors * (WORDS * 8)
    shard, start, num_items = row_span(user_item, user)
    for i in range(start, start + num_items):
        row = load_int32(bitmaps.row_of, load_int32(user_item.neighbors[shard], i))
        if row:
            rows[size] = bitmaps.words + row * stride
            size += 1
    while size % _GROUP:
        rows[size] = bitmaps.words
        size += 1
    return size


@kernel
def _add_rows(num_rows: int, num_vectors: int, scratch: BitScratch) -> int:
    """Planes = the sum of the rows; returns how many planes were written.

    The lower three planes stay in registers. Of eight rows one bit at most carries into the fourth, and rarely does.
    """
    rows, used = scratch.rows, 3
    planes, stride = scratch.planes.ctypes.data, num_vectors * (WORDS * 8)
    for k in range(num_vectors):
        ones, twos, fours = no_bits(), no_bits(), no_bits()
        for r in range(0, num_rows, _GROUP):
            ones, a = full_adder(ones, load_bits(rows[r], k), load_bits(rows[r + 1], k))
            ones, b = full_adder(ones, load_bits(rows[r + 2], k), load_bits(rows[r + 3], k))
            twos, c = full_adder(twos, a, b)
            ones, a = full_adder(ones, load_bits(rows[r + 4], k), load_bits(rows[r + 5], k))
            ones, b = full_adder(ones, load_bits(rows[r + 6], k), load_bits(rows[r + 7], k))
            twos, d = full_adder(twos, a, b)
            fours, carry = full_adder(fours, c, d)
            plane = 3
            while any_bit(carry):
                bits = load_bits(planes + plane * stride, k)
                store_bits(planes + plane * stride, k, differ(bits, carry))
                carry = both(bits, carry)
                plane += 1
            used = max(used, plane)
        store_bits(planes, k, ones)
        store_bits(planes + stride, k, twos)
        store_bits(planes + 2 * stride, k, fours)
    return used


@kernel
def _add_list(address: int, first: int, num_users: int, planes: np.ndarray) -> int:
    """Adds 1 to the users of an item without a row of bits; returns how many planes were written."""
    used = 0
    for j in range(first, first + num_users):
        other = load_int32(address, j)
        word = other >> 6
        carry = ONE << np.uint64(other & 63)
        plane = 0
        while carry:
            bits = planes[plane, word]
            planes[plane, word] = bits ^ carry
            carry &= bits
            plane += 1
        used = max(used, plane)
    return used


@kernel
def _choose(k: int, used: int, num_vectors: int, scratch: BitScratch) -> int:
    """Sets `chosen` to the users that are among the k heaviest for certain, `ties` to those with the next count.

    Returns how many of the ties are to be chosen: 0 where their count is 0.
    """
    planes, stride = scratch.planes.ctypes.data, num_vectors * (WORDS * 8)
    chosen, ties = scratch.chosen.ctypes.data, scratch.ties.ctypes.data
    scratch.chosen[:] = 0
    scratch.ties[:] = ~np.uint64(0)
    missing, is_zero = k, True
    for plane in range(used - 1, -1, -1):
        address = planes + plane * stride
        numbers = no_bits()
        for v in range(num_vectors):
            numbers = add_counts(numbers, word_counts(both(load_bits(ties, v), load_bits(address, v))))
        number = total_count(numbers)
        if number >= missing:  # the k-th has this bit
            is_zero = False
            for v in range(num_vectors):
                store_bits(ties, v, both(load_bits(ties, v), load_bits(address, v)))
        elif number:
            missing -= number
            for v in range(num_vectors):
                tied, bits = load_bits(ties, v), load_bits(address, v)
                store_bits(chosen, v, either(load_bits(chosen, v), both(tied, bits)))
                store_bits(ties, v, without(tied, bits))
    return 0 if is_zero else missing


@kernel
def _choose_ties(missing: int, num_vectors: int, scratch: BitScratch) -> None:
    """Chooses the first `missing` of the ties."""
    chosen, ties = scratch.chosen.ctypes.data, scratch.ties.ctypes.data
    for v in range(num_vectors):
        if missing <= 0:
            break
        tied = load_bits(ties, v)
        number = total_count(word_counts(tied))
        if number <= missing:
            store_bits(chosen, v, either(load_bits(chosen, v), tied))
        else:
            rest = missing
            for word in range(v * WORDS, (v + 1) * WORDS):
                bits = scratch.ties[word]
                while bits and rest:
                    scratch.chosen[word] |= bits & (~bits + ONE)
                    bits &= bits - ONE
                    rest -= 1
        missing -= number


@kernel
def _list_chosen(num_vectors: int, scratch: BitScratch) -> int:
    """Writes the chosen into `users` in ascending order; returns how many there are."""
    users, chosen = scratch.users, scratch.chosen.ctypes.data
    size = 0
    for v in range(num_vectors):
        if not any_bit(load_bits(chosen, v)):
            continue
        for word in range(v * WORDS, (v + 1) * WORDS):
            # Without a branch for the usual word, that has at most two; what is not there is overwritten.
            bits = scratch.chosen[word]
            first, number = word << 6, bit_count(bits)
            users[size] = first + trailing_zeros(bits)
            bits &= bits - ONE
            users[size + 1] = first + trailing_zeros(bits)
            for j in range(size + 2, size + number):
                bits &= bits - ONE
                users[j] = first + trailing_zeros(bits)
            size += number
    return size


@kernel
def _order(length: int, used: int, scratch: BitScratch, neighbors: np.ndarray, counts: np.ndarray) -> None:
    """Counting sort of the chosen: heavier first, equal counts as they come."""
    planes, users, chosen_counts, histogram = scratch.planes, scratch.users, scratch.counts, scratch.histogram
    largest = np.int64(0)
    for j in range(length):
        word, bit = users[j] >> 6, np.uint64(users[j] & 63)
        count = np.int64(0)
        for plane in range(used):
            count |= np.int64((planes[plane, word] >> bit) & ONE) << plane
        chosen_counts[j] = count
        histogram[count] += 1
        largest = max(largest, count)
    position = 0
    for heavy in range(largest, 0, -1):
        position, histogram[heavy] = position + histogram[heavy], position
    for j in range(length):
        place = histogram[chosen_counts[j]]
        histogram[chosen_counts[j]] += 1
        neighbors[place], counts[place] = users[j], chosen_counts[j]
    histogram[: largest + 1] = 0
