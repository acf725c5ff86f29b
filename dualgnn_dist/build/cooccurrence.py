"""The user co-occurrence graph: for every user the K others that share the most training items with it.

Blocks of users, one after another, never a U x U array. A thread holds one counter a user: it walks the rows
user -> items -> users and counts, then picks the K largest counts by a histogram of them, and clears only what it
touched. The result is unique: heavier first, equal counts by the smaller user index, whatever the blocks and threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from dualgnn_dist.csr import CSRHandle, ShardedCSR, load_int32, row_span

ONE = np.uint64(1)
BLOCK_USERS = 512  # users a task: small enough that threads end together


@intrinsic
def trailing_zeros(typing_context: Any, word: Any) -> Any:
    """Kernel side: the position, int64, of the lowest bit of a uint64 that is not 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], cgutils.true_bit)

    return types.int64(types.uint64), generate


class Scratch(NamedTuple):
    """What one thread counts in; all but `touched` is zero between users."""

    counts: np.ndarray  # int32 [U]
    touched: np.ndarray  # int32 [U + 1]: one more, for the write that is not kept
    histogram: np.ndarray  # int32 [largest degree + 1]
    marks: np.ndarray  # uint64 [U / 64]: a bit a user
    summary: np.ndarray  # uint64 [U / 4096]: a bit a word of `marks` that is not zero

    @classmethod
    def make(cls, num_users: int, largest_degree: int) -> Scratch:
        """For so many users, of whom none has more items than `largest_degree`."""
        numbers = (np.zeros(size, dtype=np.int32) for size in (num_users, num_users + 1, largest_degree + 1))
        bits = (np.zeros(num_users // size + 1, dtype=np.uint64) for size in (64, 4096))
        return cls(*numbers, *bits)


def cooccurrence(
    user_item: ShardedCSR,
    item_user: ShardedCSR,
    num_neighbors: int,
    *,
    rows_per_shard: int,
    max_item_degree: int | None = None,
    num_threads: int = 1,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yields the graph in shards of users.

    Args:
        num_neighbors: K, kept of each user at most.
        max_item_degree: items with more users are not counted.

    Yields:
        offsets int64 [rows + 1] from 0, neighbours int32, counts int32; heaviest first, ties by the smaller index.
    """
    limit = np.iinfo(np.int64).max if max_item_degree is None else max_item_degree
    num_users = user_item.num_rows
    largest = max((int(np.diff(offsets).max(initial=0)) for offsets in user_item.offsets), default=0)
    pool: SimpleQueue[Scratch] = SimpleQueue()
    for _ in range(num_threads):
        pool.put(Scratch.make(num_users, largest))

    def block(first: int, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        scratch = pool.get()
        try:
            return _block(user_item.handle, item_user.handle, limit, first, last, num_neighbors, scratch)
        finally:
            pool.put(scratch)

    with ThreadPoolExecutor(num_threads) as threads:
        for start in range(0, num_users, rows_per_shard):
            end = min(start + rows_per_shard, num_users)
            firsts = range(start, end, BLOCK_USERS)
            parts = list(threads.map(block, firsts, [min(first + BLOCK_USERS, end) for first in firsts]))
            lengths, neighbors, counts = (np.concatenate(columns) for columns in zip(*parts, strict=True))
            offsets = np.zeros(end - start + 1, dtype=np.int64)
            np.cumsum(lengths, out=offsets[1:])
            yield offsets, neighbors, counts


@njit(nogil=True, cache=True)
def _block(
    user_item: CSRHandle, item_user: CSRHandle, limit: int, first: int, last: int, k: int, scratch: Scratch
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lengths = np.zeros(last - first, dtype=np.int32)
    neighbors = np.empty((last - first) * k, dtype=np.int32)
    counts = np.empty((last - first) * k, dtype=np.int32)
    size = 0
    for user in range(first, last):
        num_touched = _count(user_item, item_user, limit, user, scratch)
        length = _select(num_touched, scratch, neighbors[size : size + k], counts[size : size + k])
        lengths[user - first] = length
        size += length
    return lengths, neighbors[:size].copy(), counts[:size].copy()


@njit(nogil=True, cache=True)
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


@njit(nogil=True, cache=True)
def _select(num_touched: int, scratch: Scratch, neighbors: np.ndarray, heaviest: np.ndarray) -> int:
    """Fills in the heaviest of the touched with their counts; clears the scratch; returns how many there are.

    Without sorting: the histogram says where each count's users begin, a bitmap gives the users in ascending order.
    """
    counts, touched, histogram, marks, summary = scratch
    largest = 0
    for j in range(num_touched):
        count = counts[touched[j]]
        histogram[count] += 1
        largest = max(largest, count)
    position, threshold = 0, 1
    for count in range(largest, 0, -1):
        position, histogram[count] = position + histogram[count], position
        if position >= len(neighbors):
            threshold = count  # lighter ones find no place
            break
    for j in range(num_touched):
        other = touched[j]
        if counts[other] < threshold:
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
