"""The user co-occurrence graph: for every user the K others that share the most training items with it.

Blocks of users, one after another, never a U x U array. A thread holds one counter a user: it walks the rows
user -> items -> users and counts, then picks the K largest counts by a histogram of them, and clears only what it
touched. The result is unique: heavier first, equal counts by the smaller user index, whatever the blocks and threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np
from numba import njit

from dualgnn_dist.csr import CSRHandle, ShardedCSR, load_int32, row_span

BLOCK_USERS = 512  # users a task: small enough that threads end together


class Scratch(NamedTuple):
    """What one thread counts in."""

    counts: np.ndarray  # int32 [U], zero between users
    touched: np.ndarray  # int32 [U]
    histogram: np.ndarray  # int32 [largest degree + 2], zero between users


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
        pool.put(Scratch(*(np.zeros(size, dtype=np.int32) for size in (num_users, num_users + 1, largest + 2))))

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
    keys = np.empty(k, dtype=np.int64)
    size = 0
    for user in range(first, last):
        num_touched = _count(user_item, item_user, limit, user, scratch)
        length = _select(num_touched, keys, scratch)
        lengths[user - first] = length
        for j in range(length):
            neighbors[size + j] = keys[j] & 0x7FFFFFFF
            counts[size + j] = 0x7FFFFFFF - (keys[j] >> 32)
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
def _select(num_touched: int, keys: np.ndarray, scratch: Scratch) -> int:
    """The heaviest of the touched, as ascending keys (2^31 - 1 - count) << 32 | user; clears the scratch."""
    counts, touched, histogram = scratch.counts, scratch.touched, scratch.histogram
    largest = 0
    for j in range(num_touched):
        count = counts[touched[j]]
        histogram[count] += 1
        largest = max(largest, count)
    threshold, above = largest, 0  # all counts above the threshold fit, with `above` of them
    while threshold > 1 and above + histogram[threshold] < len(keys):
        above += histogram[threshold]
        threshold -= 1
    histogram[: largest + 1] = 0
    length, num_ties = 0, 0
    for j in range(num_touched):
        other = touched[j]
        count = counts[other]
        counts[other] = 0
        if count > threshold:
            keys[length] = ((0x7FFFFFFF - np.int64(count)) << 32) | other
            length += 1
        elif count == threshold and count > 0:
            touched[num_ties] = other
            num_ties += 1
    room = min(len(keys) - length, num_ties)
    ties = touched[:num_ties]
    if 0 < room < num_ties:
        ties = np.partition(ties, room - 1)
    for j in range(room):
        keys[length + j] = ((0x7FFFFFFF - np.int64(threshold)) << 32) | ties[j]
    keys[: length + room].sort()
    return length + room
