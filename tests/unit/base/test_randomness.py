"""Random bits: the same as arbitrary precision arithmetic gives, uniform, and independent wherever they are used."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from scipy import stats

from dualgnn_dist.base import randomness

MASK = (1 << 64) - 1
MASK_32 = (1 << 32) - 1
SMALLEST_P = 1e-4  # the seeds are fixed: a statistical test either always passes or never does


def mix_in_python(state, word):
    z = ((state + 0x9E3779B97F4A7C15) & MASK) ^ (word & MASK)
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def bits_for(when, counter=(0, 0, 0)):
    return np.uint64(randomness.random_bits(np.uint64(randomness.key(*when)), *counter))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, MASK), st.integers(-(2**63), 2**63 - 1))
def test_mix_equals_arbitrary_precision_arithmetic(state, word):
    assert randomness.mix(np.uint64(state), word) == mix_in_python(state, word)


def test_equal_values_of_different_integer_types_hash_alike():
    for kind in (np.int32, np.int64, np.uint64):
        when, counter = [kind(k) for k in (1, 2, 3, 4)], [kind(k) for k in (5, 6, 7)]
        assert bits_for(when, counter) == bits_for((1, 2, 3, 4), (5, 6, 7))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, MASK), st.integers(1, 2**32))
def test_below_is_the_high_word_of_the_product(bits, n):
    assert randomness.below(np.uint64(bits), n) == (bits * n) >> 64
    assert randomness.unit(np.uint64(bits)) == (bits >> 11) / 2**53


def test_draws_are_uniform_in_every_counter_and_in_every_word_of_the_key():
    n, when, counter = 6400, (7, 0, 0, randomness.NEGATIVES), (0, 0, 0)
    counters = [[bits_for(when, (*counter[:k], value, *counter[k + 1 :])) for value in range(n)] for k in range(3)]
    keys = [[bits_for((*when[:k], value, *when[k + 1 :])) for value in range(n)] for k in range(3)]
    for bits in counters + keys:
        assert len(set(bits)) == len(bits)
        bins = np.array([randomness.below(value, 32) for value in bits])
        assert stats.chisquare(np.bincount(bins, minlength=32)).pvalue > SMALLEST_P
        pairs = np.bincount(bins[:-1] * 32 + bins[1:], minlength=1024)
        assert stats.chisquare(pairs).pvalue > SMALLEST_P, "neighbouring counters must be independent"


def test_streams_of_different_purposes_are_independent():
    purposes = [randomness.ORDER, randomness.NEGATIVES, randomness.CO_USERS, randomness.HOPS]
    streams = np.array(
        [[randomness.unit(bits_for((1, 2, 3, purpose), (a, 0, 0))) for a in range(4000)] for purpose in purposes]
    )
    correlation = np.corrcoef(streams) - np.eye(len(purposes))
    assert np.abs(correlation).max() < 5 / np.sqrt(4000)


def mix_32_in_python(word):
    z = word & MASK_32
    z = ((z ^ (z >> 16)) * 0x85EBCA6B) & MASK_32
    z = ((z ^ (z >> 13)) * 0xC2B2AE35) & MASK_32
    return z ^ (z >> 16)


@njit
def mix_32(words):
    """As kernels call it: in a loop that LLVM may put into vector registers."""
    mixed = np.empty_like(words)
    for k in range(len(words)):
        mixed[k] = randomness.mix_32(words[k])
    return mixed


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, MASK_32), max_size=40))
def test_mix_32_equals_arbitrary_precision_arithmetic(words):
    np.testing.assert_array_equal(mix_32(np.array(words, dtype=np.uint32)), [mix_32_in_python(word) for word in words])


def test_a_bijection_of_32_bits_gives_no_value_twice():
    words = np.arange(1 << 20, dtype=np.uint32) * np.uint32(2654435761)
    assert len(np.unique(mix_32(words))) == len(words)


def test_no_two_purposes_are_the_same():
    purposes = {name: value for name, value in vars(randomness).items() if re.fullmatch("[A-Z][A-Z_]+", name)}
    assert len(purposes) == 5 and len(set(purposes.values())) == 5


@pytest.mark.parametrize("n", [1, 2, 2**31, 2**32])
def test_below_stays_in_its_range_at_both_ends(n):
    assert randomness.below(np.uint64(0), n) == 0
    assert randomness.below(np.uint64(MASK), n) == n - 1
    assert 0 <= randomness.unit(np.uint64(MASK)) < 1
