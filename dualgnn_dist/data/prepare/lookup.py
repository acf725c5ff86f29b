"""Where among distinct keys of 64 bits a key stands: a hash table that is built once and asked block by block."""

from __future__ import annotations

import numpy as np

from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.randomness import mix


class Lookup:
    """Takes 4 to 8 bytes a key beside the keys.

    Args:
        keys: int64 or uint64, fewer than 2^31.

    Attributes:
        distinct: whether all keys differ; if not, `find` must not be asked.
    """

    def __init__(self, keys: np.ndarray) -> None:
        self._keys = keys
        # Open addressing, linear probing: the table is at least a third empty.
        self._slots = np.full(1 << int(len(keys) * 3 // 2).bit_length(), -1, dtype=np.int32)
        self.distinct = _insert(keys, self._slots)

    def find(self, keys: np.ndarray) -> np.ndarray:
        """int32 positions of `keys`, -1 for those that are not among the table's."""
        return _find(self._keys, self._slots, keys)


@kernel
def _slot(keys: np.ndarray, slots: np.ndarray, key: np.int64 | np.uint64) -> np.int64:
    """The slot of a key, or the empty one where it would be."""
    slot = np.int64(mix(0, key) & np.uint64(len(slots) - 1))
    while slots[slot] >= 0 and keys[slots[slot]] != key:
        slot = (slot + 1) & (len(slots) - 1)
    return slot


@kernel
def _insert(keys: np.ndarray, slots: np.ndarray) -> bool:
    for position in range(len(keys)):
        slot = _slot(keys, slots, keys[position])
        if slots[slot] >= 0:
            return False
        slots[slot] = position
    return True


@kernel
def _find(keys: np.ndarray, slots: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    positions = np.empty(len(wanted), dtype=np.int32)
    for k in range(len(wanted)):
        positions[k] = slots[_slot(keys, slots, wanted[k])]
    return positions
