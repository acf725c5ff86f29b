"""Which training interactions make up a batch: a pure function of (sizes, seed, epoch, step, rank, world size).

An epoch is a permutation of all interactions, cut into global batches; workers take contiguous parts of each. So any
number of workers sees the same global batches, each interaction comes exactly once an epoch, every rank has the same
number of steps, and (epoch, step) is the whole resume state. The permutation is computed, not stored: a keyed Feistel
network over the smallest sufficient power of two, walked until it falls inside the range (at most twice on average). A
billion interactions cost no memory.
"""

from __future__ import annotations

import numpy as np

from dualgnn_dist.base import randomness
from dualgnn_dist.base.kernels import kernel

_NUM_ROUNDS = 6
_MIN_BITS = 8  # on a few bits a Feistel network reaches few of the permutations: let tiny ranges walk instead


def num_steps(num_interactions: int, batch_size: int) -> int:
    """Global batches an epoch, the same on every rank; the last may be partial."""
    assert num_interactions >= 0 and batch_size >= 1, (num_interactions, batch_size)
    return -(-num_interactions // batch_size)


def batch_slice(
    num_interactions: int, batch_size: int, seed: int, epoch: int, step: int, rank: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """This worker's part of one global batch.

    Args:
        batch_size: interactions of a GLOBAL batch, over all workers.
        step: global batch of the epoch, 0 .. num_steps - 1.

    Returns:
        slots: int64 [b], positions inside the global batch, consecutive.
        indices: int64 [b], which training interaction each is. b may be 0 in the last, partial batch.
    """
    assert 0 <= step < num_steps(num_interactions, batch_size) and 0 <= rank < size, (step, rank, size)
    first = step * batch_size
    length = min(batch_size, num_interactions - first)
    slots = np.arange(length * rank // size, length * (rank + 1) // size, dtype=np.int64)
    return slots, permute(first + slots, num_interactions, seed, epoch)


@kernel
def permute(positions: np.ndarray, num_interactions: int, seed: int, epoch: int) -> np.ndarray:
    """Where int64 `positions` of the epoch's permutation of [0, num_interactions) lead. int64, bijective."""
    num_bits = _MIN_BITS
    while (1 << num_bits) < num_interactions:
        num_bits += 1
    key = randomness.key(seed, epoch, 0, randomness.ORDER)
    indices = np.empty(len(positions), dtype=np.int64)
    for k in range(len(positions)):
        index = _feistel(positions[k], num_bits, key)
        while index >= num_interactions:
            index = _feistel(index, num_bits, key)
        indices[k] = index
    return indices


@kernel
def _feistel(value: int, num_bits: int, key: np.uint64) -> int:
    """A keyed bijection of [0, 2**num_bits): the halves take turns, each XORed with a hash of the other."""
    low_bits = num_bits // 2
    num_low, num_high = 1 << low_bits, 1 << (num_bits - low_bits)
    low, high = value & (num_low - 1), value >> low_bits
    for turn in range(_NUM_ROUNDS):
        if turn & 1:
            low ^= randomness.below(randomness.random_bits(key, turn, high, 0), num_low)
        else:
            high ^= randomness.below(randomness.random_bits(key, turn, low, 0), num_high)
    return (high << low_bits) | low
