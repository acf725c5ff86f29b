"""The user co-occurrence graph: for every user the K others that share the most training items with it.

Blocks of users, each on its own, never a U x U array. A user is counted in one of two ways: mostly by a counter a user
(`counters`); where that would touch a good share of all users, by bit planes (`bit_planes`). The result is unique,
heavier first, equal counts by the smaller user index, whatever the way, the blocks and what they run on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from dualgnn_dist.base.csr import CSRHandle, ShardedCSR
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.data.prepare.cooccurrence.bit_planes import heaviest_by_bits
from dualgnn_dist.data.prepare.cooccurrence.bitmaps import Bitmaps, BitmapsHandle, BitScratch, popular_pairs
from dualgnn_dist.data.prepare.cooccurrence.blocks import BlockMap, ThreadMap
from dualgnn_dist.data.prepare.cooccurrence.counters import CounterScratch, heaviest_by_counters

# Bit planes are faster if a user's popular items have more than one user in so many, all together.
BITS_ONE_IN = 32
LEAST_BLOCK, LARGEST_BLOCK = 256, 8192  # users; a user's result is 1.6 kB at K = 200


class CoUserShard(NamedTuple):
    """The lists of consecutive users, the heaviest co-user first, ties by the smaller index."""

    offsets: np.ndarray  # int64 [users + 1] from 0
    neighbors: np.ndarray  # int32
    counts: np.ndarray  # int32


class CoUserBlock(NamedTuple):
    """The same as a block hands it over: lengths, since it does not know where in a shard its lists begin."""

    lengths: np.ndarray  # int32 [users]
    neighbors: np.ndarray  # int32
    counts: np.ndarray  # int32


class Shared(NamedTuple):
    """What every block reads, as plain arrays: they go to another process without a copy a block."""

    user_item: tuple  # the arguments of a ShardedCSR, whose own addresses mean nothing elsewhere
    item_user: tuple
    bitmaps: Bitmaps
    limit: int
    num_neighbors: int
    largest_degree: int
    bits_from: int  # pairs


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
) -> Iterator[CoUserShard]:
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
        the lists of `rows_per_shard` users (the last shard may have fewer).
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
    counted = (block_map or ThreadMap(num_threads))(count_block, shared, blocks)
    for start, end in shards:
        yield _shard(counted, start, end, num_neighbors, progress)


def count_block(shared: Shared, first: int, last: int) -> CoUserBlock:
    """The co-users of users `first` to `last - 1`."""
    user_item, item_user = ShardedCSR(*shared.user_item), ShardedCSR(*shared.item_user)
    bitmaps = BitmapsHandle.of(shared.bitmaps)
    lists = _count_block(
        user_item.handle,
        item_user.handle,
        shared.limit,
        bitmaps,
        shared.bits_from,
        first,
        last,
        shared.num_neighbors,
        CounterScratch.make(user_item.num_rows, shared.largest_degree),
        BitScratch.make(bitmaps.num_vectors, shared.largest_degree, shared.num_neighbors),
    )
    return CoUserBlock(*lists)


def _arguments(csr: ShardedCSR) -> tuple:
    # Plain views: a mapped file's own array type would be copied, not shared, by what hands it to other processes.
    offsets, neighbors = ([np.asarray(array) for array in arrays] for arrays in (csr.offsets, csr.neighbors))
    return csr.num_rows, csr.rows_per_shard, offsets, neighbors


def _shard(
    blocks: Iterator[CoUserBlock], start: int, end: int, k: int, progress: Callable[[int], None] | None
) -> CoUserShard:
    """The next blocks, up to user `end`, put together."""
    offsets = np.zeros(end - start + 1, dtype=np.int64)
    neighbors, counts = (np.empty((end - start) * k, dtype=np.int32) for _ in range(2))  # pages untouched cost nothing
    user = start
    while user < end:
        block = next(blocks)
        row = user - start
        next_row = row + len(block.lengths)
        np.cumsum(block.lengths, out=offsets[row + 1 : next_row + 1])
        offsets[row + 1 : next_row + 1] += offsets[row]
        neighbors[offsets[row] : offsets[next_row]] = block.neighbors
        counts[offsets[row] : offsets[next_row]] = block.counts
        user = start + next_row
        if progress is not None:
            progress(user)
    return CoUserShard(offsets, neighbors[: offsets[-1]], counts[: offsets[-1]])


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
    counter_scratch: CounterScratch,
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
            length = heaviest_by_counters(user_item, item_user, limit, user, counter_scratch, own, own_counts)
        lengths[user - first] = length
        size += length
    return lengths, neighbors[:size].copy(), counts[:size].copy()
