"""Counts of one user's co-users by bit planes: for users whose items are so popular that most users share one.

An item is a row of bits, one a user. A user's counts are a sum of such rows, kept as binary digits: plane l holds bit l
of every count. Adding a row is a few logical instructions for 512 users at once, however many of them share the item,
where a counter a user costs an increment for each. `bit_selection` finds the heaviest.
"""

from __future__ import annotations

import numpy as np

from dualgnn_dist.base.csr import CSRHandle, row_span
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.raw_reads import load_int32
from dualgnn_dist.data.prepare.cooccurrence.bit_selection import select_heaviest
from dualgnn_dist.data.prepare.cooccurrence.bit_vectors import (
    WORDS,
    any_bit,
    both,
    differ,
    full_adder,
    load_bits,
    no_bits,
    store_bits,
)
from dualgnn_dist.data.prepare.cooccurrence.bitmaps import GROUP, ONE, BitmapsHandle, BitScratch


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
    length = select_heaviest(used, bitmaps.num_vectors, scratch, neighbors, counts)
    planes[3:used] = 0  # the first three are written anew
    return length


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
    while size % GROUP:
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
        for r in range(0, num_rows, GROUP):
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
