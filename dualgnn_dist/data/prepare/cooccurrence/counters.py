"""The user co-occurrence graph: for every user the K others that share the most training items with it.

Blocks of users, each on its own, never a U x U array. A user is counted in one of two ways. Mostly: a counter a user,
incremented along the rows user -> items -> users; then the K largest by a histogram of the counts; only what was
touched is cleared. Where that would touch a good share of all users: bit planes (`bit_counting`). The result is unique,
heavier first, equal counts by the smaller user index, whatever the way, the blocks and what they run on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from dualgnn_dist.base.csr import CSRHandle, ShardedCSR, row_span
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.raw_reads import load_int32
from dualgnn_dist.data.prepare.cooccurrence.bit_planes import (
    Bitmaps,
    BitmapsHandle,
    BitScratch,
    heaviest_by_bits,
    popular_pairs,
)
from dualgnn_dist.data.prepare.cooccurrence.bit_vectors import trailing_zeros
from dualgnn_dist.data.prepare.cooccurrence.blocks import BlockMap, ThreadMap

ONE = np.uint64(1)
# Bit planes are faster if a user's popular items have more than one user in so many, all together.
BITS_ONE_IN = 32
LEAST_BLOCK, LARGEST_BLOCK = 256, 8192  # users; a user's result is 1.6 kB at K = 200

Columns = tuple[np.ndarray, np.ndarray, np.ndarray]


class Shared(NamedTuple):
    """What every block reads, as plain arrays: they go to another process without a copy a block."""

    user_item: tuple  # the arguments of a ShardedCSR, whose own addresses mean nothing elsewhere
    item_user: tuple
    bitmaps: Bitmaps
    limit: int
    num_neighbors: int
    largest_degree: int
    bits_from: int  # pairs


class Scratch(NamedTuple):
    """What a block counts in; all but `touched` is zero between users."""

    counts: np.ndarray  # int32 [U]
    touched: np.ndarray  # int32 [U + 1]: one more, for the write that is not kept
    histogram: np.ndarray  # int32 [largest degree + 1]
    marks: np.ndarray  # uint64 [U / 64]: a bit a user
    summary: np.ndarray  # uint64 [U / 4096]: a bit a word of `marks` that is not zero
    buckets: np.ndarray  # int32 [U / 4096]: ties, by 4096 users

    @classmethod
    def make(cls, num_users: int, largest_degree: int) -> Scratch:
        """For so many users, of whom none has more items than `largest_degree`. Memory is taken as it is touched."""

        def zeros(size: int, dtype: type = np.int32) -> np.ndarray:
            return np.zeros(size, dtype=dtype)

        words, summaries = num_users // 64 + 1, num_users // 4096 + 1
        numbers = zeros(num_users), zeros(num_users + 1), zeros(largest_degree + 1)
        return cls(*numbers, zeros(words, np.uint64), zeros(summaries, np.uint64), zeros(summaries))


def cooccurrence(
    user_item: ShardedCSR,
    item_user: ShardedCSR,
    num_neighbors: int,
    *,
    rows_per_shard: int,
    max_item_degree: int | None = None,
    num_threads: int = 1,
    block_map: BlockMap | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Columns]:
    """Yields the graph in shards of users.

    Held beside the two graphs: a shard, the blocks under way, bitmaps of the popular items (at most 8 times the size of
    their lists), and in each block that runs about 8.2 bytes a user, or U / 8 bytes for each binary digit of a count.

    Args:
        num_neighbors: K, kept of each user at most.
        max_item_degree: items with more users are not counted.
        num_threads: of this process, where there is no `block_map`.
        block_map: what runs the blocks.
        progress: gets the number of users that are done, after every block.

    Yields:
        offsets int64 [rows + 1] from 0, neighbours int32, counts int32; heaviest first, ties by the smaller index.
    """
    num_users = user_item.num_rows
    limit = np.iinfo(np.int64).max if max_item_degree is None else max_item_degree
    shared = Shared(
        _arguments(user_item),
        _arguments(item_user),
        Bitmaps.make(item_user, num_users, limit),
        limit,
        num_neighbors,
        max((int(np.diff(offsets).max(initial=0)) for offsets in user_item.offsets), default=0),
        int(num_users / BITS_ONE_IN),
    )
    size = min(max(num_users // 64, LEAST_BLOCK), LARGEST_BLOCK)
    shards = [(start, min(start + rows_per_shard, num_users)) for start in range(0, num_users, rows_per_shard)]
    blocks = [(first, min(first + size, end)) for start, end in shards for first in range(start, end, size)]
    parts = (block_map or ThreadMap(num_threads))(count_block, shared, blocks)
    for start, end in shards:
        yield _shard(parts, start, end, num_neighbors, progress)


def count_block(shared: Shared, first: int, last: int) -> Columns:
    """The co-users of users `first` to `last - 1`: int32 lengths of their lists; neighbours and counts, end to end."""
    user_item, item_user = ShardedCSR(*shared.user_item), ShardedCSR(*shared.item_user)
    bitmaps = BitmapsHandle.of(shared.bitmaps)
    return _count_block(
        user_item.handle,
        item_user.handle,
        shared.limit,
        bitmaps,
        shared.bits_from,
        first,
        last,
        shared.num_neighbors,
        Scratch.make(user_item.num_rows, shared.largest_degree),
        BitScratch.make(bitmaps.num_vectors, shared.largest_degree, shared.num_neighbors),
    )


def _arguments(csr: ShardedCSR) -> tuple:
    # Plain views: a mapped file's own array type would be copied, not shared, by what hands it to other processes.
    offsets, neighbors = ([np.asarray(array) for array in arrays] for arrays in (csr.offsets, csr.neighbors))
    return csr.num_rows, csr.rows_per_shard, offsets, neighbors


def _shard(parts: Iterator[Columns], start: int, end: int, k: int, progress: Callable[[int], None] | None) -> Columns:
    """The next parts, up to user `end`, put together."""
    offsets = np.zeros(end - start + 1, dtype=np.int64)
    neighbors, counts = (np.empty((end - start) * k, dtype=np.int32) for _ in range(2))  # pages untouched cost nothing
    user = start
    while user < end:
        lengths, *columns = next(parts)
        row = user - start
        np.cumsum(lengths, out=offsets[row + 1 : row + 1 + len(lengths)])
        offsets[row + 1 : row + 1 + len(lengths)] += offsets[row]
        user += len(lengths)
        for whole, part in zip((neighbors, counts), columns, strict=True):
            whole[offsets[row] : offsets[user - start]] = part
        if progress is not None:
            progress(user)
    return offsets, neighbors[: offsets[-1]], counts[: offsets[-1]]


@kernel
def _count_block(
    user_item: CSRHandle,
    item_user: CSRHandle,
    limit: int,
    bitmaps: BitmapsHandle,
    bits_from: int,
    first: int,
    last: int,
    k: int,
    scratch: Scratch,
    bit_scratch: BitScratch,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lengths = np.zeros(last - first, dtype=np.int32)
    neighbors = np.empty((last - first) * k, dtype=np.int32)
    counts = np.empty((last - first) * k, dtype=np.int32)
    size = 0
    for user in range(first, last):
        own, own_counts = neighbors[size : size + k], counts[size : size + k]
        if popular_pairs(user_item, item_user, bitmaps, user) > bits_from:
            length = heaviest_by_bits(user_item, item_user, limit, bitmaps, user, bit_scratch, own, own_counts)
        else:
            num_touched = _count(user_item, item_user, limit, user, scratch)
            length = _select(num_touched, scratch, own, own_counts)
        lengths[user - first] = length
        size += length
    return lengths, neighbors[:size].copy(), counts[:size].copy()


@kernel
def _count(user_item: CSRHandle, item_user: CSRHandle, limit: int, user: int, scratch: Scratch) -> int:
    """Counts shared items into `scratch.counts`; returns how many users were touched."""
    counts, touched = scratch.counts, scratch.touched
    num_touched = 0
    item_shard, item_start, num_items = row_span(user_item, user)
    for i in range(num_items):
        item = load_int32(user_item.neighbors[item_shard], item_start + i)
        shard, start, num_users = row_span(item_user, item)
        if num_users > limit:
            continue
        address = item_user.neighbors[shard]
        for j in range(start, start + num_users):
            other = load_int32(address, j)
            count = counts[other]
            counts[other] = count + 1
            touched[num_touched] = other  # without a branch: kept only if this was the first time
            num_touched += count == 0
    counts[user] = 0  # not its own neighbour
    return num_touched


@kernel
def _select(num_touched: int, scratch: Scratch, neighbors: np.ndarray, heaviest: np.ndarray) -> int:
    """Fills in the heaviest of the touched with their counts; clears the scratch; returns how many there are.

    Without sorting: the histogram says where each count's users begin, a bitmap gives the users in ascending order.
    """
    counts, touched, histogram, marks, summary, _ = scratch
    threshold, position, largest = _threshold(num_touched, scratch, len(neighbors))
    last = len(counts)
    if position > len(neighbors):
        last = _last_tie(num_touched, threshold, len(neighbors) - histogram[threshold], scratch)
    for j in range(num_touched):
        other = touched[j]
        if counts[other] < threshold or (counts[other] == threshold and other >= last):
            counts[other] = 0
        else:
            marks[other >> 6] |= ONE << np.uint64(other & 63)
            summary[other >> 12] |= ONE << np.uint64((other >> 6) & 63)
    for k in range(len(summary)):
        while summary[k]:
            word = (k << 6) + trailing_zeros(summary[k])
            summary[k] &= summary[k] - ONE
            while marks[word]:
                other = (word << 6) + trailing_zeros(marks[word])
                marks[word] &= marks[word] - ONE
                place = histogram[counts[other]]
                if place < len(neighbors):
                    neighbors[place], heaviest[place] = other, counts[other]
                    histogram[counts[other]] += 1
                counts[other] = 0
    histogram[: largest + 1] = 0
    return min(position, len(neighbors))


@kernel
def _threshold(num_touched: int, scratch: Scratch, k: int) -> tuple[int, int, int]:
    """(the k-th largest count or 1, how many have that or more, the largest count).

    Leaves in the histogram where each count's users begin.
    """
    counts, touched, histogram = scratch.counts, scratch.touched, scratch.histogram
    largest, num_ones = 1, 0
    for j in range(num_touched):
        count = counts[touched[j]]
        num_ones += count == 1
        if count > 1:  # most are 1, and increments of one number wait for one another
            histogram[count] += 1
            largest = max(largest, count)
    histogram[1] = num_ones
    position = 0
    for count in range(largest, 0, -1):
        position, histogram[count] = position + histogram[count], position
        if position >= k:  # lighter ones find no place
            return count, position, largest
    return 1, position, largest


@kernel
def _last_tie(num_touched: int, threshold: int, places: int, scratch: Scratch) -> int:
    """A user below whom there are `places` users with the threshold's count, and not many more: ties beyond it lose."""
    counts, touched, buckets = scratch.counts, scratch.touched, scratch.buckets
    for j in range(num_touched):
        other = touched[j]
        buckets[other >> 12] += counts[other] == threshold
    bucket, number = 0, 0
    while number < places:
        number += buckets[bucket]
        bucket += 1
    buckets[:] = 0
    return bucket << 12
