"""The K heaviest users of bit planes, found plane by plane from the highest: those with the bit come before the others.

Six users of the counts 1 3 1 2 2 2, of whom three are wanted. As binary digits: the plane of the twos has the users
1 3 4 5, that of the ones 0 1 2. At first all six are tied. The twos: four of the tied have the bit, no fewer than
three, so the third heaviest is among them: the ties become 1 3 4 5. The ones: only user 1 of these has the bit, so it
is among the heaviest for certain; two are still missing, and the ties become 3 4 5. No plane is left: these have equal
counts, and the first two of them, 3 and 4, are taken. Sorted by count, then by index: 1 3 4.
"""

from __future__ import annotations

import numpy as np

from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.data.prepare.cooccurrence.bit_vectors import (
    WORDS,
    add_counts,
    any_bit,
    bit_count,
    both,
    either,
    load_bits,
    no_bits,
    store_bits,
    total_count,
    trailing_zeros,
    without,
    word_counts,
)
from dualgnn_dist.data.prepare.cooccurrence.bitmaps import ONE, BitScratch


@kernel
def select_heaviest(used: int, num_vectors: int, scratch: BitScratch, neighbors: np.ndarray, counts: np.ndarray) -> int:
    """Fills in the users of the largest counts in the `used` lower planes, heavier first, then by index.

    Returns how many there are: as many as `neighbors` takes, or all whose count is not 0.
    """
    missing = _heaviest_and_ties(len(neighbors), used, num_vectors, scratch)
    _add_first_ties(missing, num_vectors, scratch)
    length = _list_heaviest(num_vectors, scratch)
    _sort_by_count(length, used, scratch, neighbors, counts)
    return length


@kernel
def _heaviest_and_ties(k: int, used: int, num_vectors: int, scratch: BitScratch) -> int:
    """Sets `heaviest` to the users that are among the k heaviest for certain, `ties` to those of the next count.

    Returns how many of the ties are still to be taken: 0 where their count is 0.
    """
    planes, stride = scratch.planes.ctypes.data, num_vectors * (WORDS * 8)
    heaviest, ties = scratch.heaviest.ctypes.data, scratch.ties.ctypes.data
    scratch.heaviest[:] = 0
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
                store_bits(heaviest, v, either(load_bits(heaviest, v), both(tied, bits)))
                store_bits(ties, v, without(tied, bits))
    return 0 if is_zero else missing


@kernel
def _add_first_ties(missing: int, num_vectors: int, scratch: BitScratch) -> None:
    """Adds the first `missing` of the ties to the heaviest."""
    heaviest, ties = scratch.heaviest.ctypes.data, scratch.ties.ctypes.data
    for v in range(num_vectors):
        if missing <= 0:
            break
        tied = load_bits(ties, v)
        number = total_count(word_counts(tied))
        if number <= missing:
            store_bits(heaviest, v, either(load_bits(heaviest, v), tied))
        else:
            rest = missing
            for word in range(v * WORDS, (v + 1) * WORDS):
                bits = scratch.ties[word]
                while bits and rest:
                    scratch.heaviest[word] |= bits & (~bits + ONE)
                    bits &= bits - ONE
                    rest -= 1
        missing -= number


@kernel
def _list_heaviest(num_vectors: int, scratch: BitScratch) -> int:
    """Writes the heaviest into `users` in ascending order; returns how many there are."""
    users, heaviest = scratch.users, scratch.heaviest.ctypes.data
    size = 0
    for v in range(num_vectors):
        if not any_bit(load_bits(heaviest, v)):
            continue
        for word in range(v * WORDS, (v + 1) * WORDS):
            # Without a branch for the usual word, that has at most two; what is not there is overwritten.
            bits = scratch.heaviest[word]
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
def _sort_by_count(length: int, used: int, scratch: BitScratch, neighbors: np.ndarray, counts: np.ndarray) -> None:
    """Counting sort of the listed users: heavier first, equal counts as they come."""
    planes, users, user_counts, histogram = scratch.planes, scratch.users, scratch.counts, scratch.histogram
    largest = np.int64(0)
    for j in range(length):
        word, bit = users[j] >> 6, np.uint64(users[j] & 63)
        count = np.int64(0)
        for plane in range(used):
            count |= np.int64((planes[plane, word] >> bit) & ONE) << plane
        user_counts[j] = count
        histogram[count] += 1
        largest = max(largest, count)
    position = 0
    for heavy in range(largest, 0, -1):
        position, histogram[heavy] = position + histogram[heavy], position
    for j in range(length):
        place = histogram[user_counts[j]]
        histogram[user_counts[j]] += 1
        neighbors[place], counts[place] = users[j], user_counts[j]
    histogram[: largest + 1] = 0
