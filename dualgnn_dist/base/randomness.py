"""Randomness as a function: a counter-based hash instead of generators with state.

Every random number of the sampler is `random_bits(key(seed, epoch, step, purpose), a, b, c)`: it depends on what it is
for, not on which thread or worker asks, nor on what was asked before. The mixing is the finalizer of splitmix64
(Steele, Lea, Flood 2014, with Stafford's constants), absorbed word by word.

Traps of Numba: uint64 combined with int64 becomes float64 without a word, hence every constant here is a `np.uint64`
and every argument is converted first (int32, int64 and uint64 arguments of equal value give equal hashes); and a kernel
called from Python returns a plain int, which must be wrapped in `np.uint64` before it is an argument again.
"""

from __future__ import annotations

import numpy as np

from dualgnn_dist.base.kernels import kernel, kernel_inline

# What a key is for. In one place, so that two parts can never draw the same numbers.
ORDER = 1
NEGATIVES = 2
CO_USERS = 3
HOPS = 4
MODALITIES = 5

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)
_MULTIPLIER_3, _MULTIPLIER_4 = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_13, _16 = np.uint32(13), np.uint32(16)
_11, _27, _30, _31, _32 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)

Word = int | np.integer


@kernel
def mix(state: Word, word: Word) -> np.uint64:
    """Absorbs one word: a bijection of either argument when the other is held."""
    z = (np.uint64(state) + _GAMMA) ^ np.uint64(word)
    z = (z ^ (z >> _30)) * _MULTIPLIER_1
    z = (z ^ (z >> _27)) * _MULTIPLIER_2
    return z ^ (z >> _31)


@kernel_inline
def mix_32(word: Word) -> np.uint32:
    """The finalizer of MurmurHash3: a bijection of 32 bits, for many words at a time in vector registers.

    Numba widens sums, products and shifts of uint32 without being asked, hence the conversions back.
    """
    z = np.uint32(word)
    z = np.uint32(np.uint32(z ^ np.uint32(z >> _16)) * _MULTIPLIER_3)
    z = np.uint32(np.uint32(z ^ np.uint32(z >> _13)) * _MULTIPLIER_4)
    return np.uint32(z ^ np.uint32(z >> _16))


@kernel
def key(seed: Word, epoch: Word, step: Word, purpose: Word) -> np.uint64:
    """The key of all draws for one purpose in one step."""
    return mix(mix(mix(mix(0, seed), epoch), step), purpose)


@kernel
def random_bits(key: np.uint64, a: Word, b: Word, c: Word) -> np.uint64:
    """64 random bits for the counter (a, b, c) under `key`."""
    return mix(mix(mix(key, a), b), c)


@kernel
def below(bits: np.uint64, n: Word) -> np.int64:
    """An integer in [0, n), 1 <= n <= 2**32: the high word of bits * n, biased by at most n / 2**64."""
    bits, factor = np.uint64(bits), np.uint64(n)
    return np.int64(((bits >> _32) * factor + (((bits & _LOW_HALF) * factor) >> _32)) >> _32)


@kernel
def unit(bits: np.uint64) -> float:
    """A float64 in [0, 1): the highest 53 of the bits."""
    return np.float64(np.uint64(bits) >> _11) * 2.0**-53
