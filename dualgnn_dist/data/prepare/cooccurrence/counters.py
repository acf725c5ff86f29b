"""Counts of one user's co-users by a counter a user: the usual way.

Counters are incremented along the rows user -> items -> users; the K largest are found by a histogram of the counts;
only what was touched is cleared.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dualgnn_dist.base.csr import CSRHandle, row_span
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.raw_reads import load_int32
from dualgnn_dist.data.prepare.cooccurrence.bit_vectors import trailing_zeros

ONE = np.uint64(1)


class CounterScratch(NamedTuple):
    """What a block counts in; all but `touched` is zero between users."""

    counts: np.ndarray  # int32 [U]
    touched: np.ndarray  # int32 [U + 1]: one more, for the write that is not kept
    histogram: np.ndarray  # int32 [largest degree + 1]
    marks: np.ndarray  # uint64 [U / 64]: a bit a user
    summary: np.ndarray  # uint64 [U / 4096]: a bit a word of `marks` that is not zero
    buckets: np.ndarray  # int32 [U / 4096]: ties, by 4096 users

    @classmethod
    def make(cls, num_users: int, largest_degree: int) -> CounterScratch:
        """For so many users, of whom none has more items than `largest_degree`. Memory is taken as it is touched."""

        def zeros(size: int, dtype: type = np.int32) -> np.ndarray:
            return np.zeros(size, dtype=dtype)

        words, summaries = num_users // 64 + 1, num_users // 4096 + 1
        numbers = zeros(num_users), zeros(num_users + 1), zeros(largest_degree + 1)
        return cls(*numbers, zeros(words, np.uint64), zeros(summaries, np.uint64), zeros(summaries))


@kernel
def heaviest_by_counters(
    user_item: CSRHandle,
    item_user: CSRHandle,
    limit: int,
    user: int,
    scratch: CounterScratch,
    neighbors: np.ndarray,
    heaviest: np.ndarray,
) -> int:
    """Fills in a user's heaviest co-users with their counts, heavier first, then by index; returns how many."""
    num_touched = _count(user_item, item_user, limit, user, scratch)
    return _select(num_touched, scratch, neighbors, heaviest)


@kernel
def _count(user_item: CSRHandle, item_user: CSRHandle, limit: int, user: int, scratch: CounterScratch) -> int:
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
def _select(num_touched: int, scratch: CounterScratch, neighbors: np.ndarray, heaviest: np.ndarray) -> int:
    """Fills in the heaviest of the touched with their counts; clears the scratch; returns how many there are.

    Without sorting: the histogram says where each count's users begin, a bitmap gives the users in ascending order.

    Six users of the counts 1 3 1 2 2 2, of whom three are wanted. `_threshold` finds that a count of 2 is needed and
    that four users have it; users of count 3 begin at place 0, of count 2 at place 1. Users 0 and 2 are lighter and
    leave. The others come in ascending order: user 1 takes place 0, user 3 place 1, user 4 place 2; user 5 would take
    place 3, which is not there. So the neighbours are 1 3 4, with the counts 3 2 2.
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
def _threshold(num_touched: int, scratch: CounterScratch, k: int) -> tuple[int, int, int]:
    """(the k-th largest count or 1, how many have that or more, the largest count).

    Leaves in the histogram where each count's users begin.

    Six users of the counts 1 3 1 2 2 2, k = 3. The histogram of the counts 1, 2, 3 is 2 3 1. Going down from the
    largest, each entry is replaced by how many users are heavier: 0 for count 3, then 1 for count 2; with the three
    of count 2 there are 4 users, no fewer than k, and the count 1 is left as it is. The result is (2, 4, 3), and the
    histogram is 2 1 0.
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
def _last_tie(num_touched: int, threshold: int, places: int, scratch: CounterScratch) -> int:
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
