import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dualgnn_dist.sampling.order import batch_slice, num_steps, permute

SMALLEST_P = 1e-4  # the seeds are fixed: a statistical test either always passes or never does


def epoch_of(num_interactions, batch_size, seed, epoch, size):
    """Every global batch, put together from the workers' slices."""
    batches = []
    for step in range(num_steps(num_interactions, batch_size)):
        parts = [batch_slice(num_interactions, batch_size, seed, epoch, step, rank, size) for rank in range(size)]
        slots = np.concatenate([slots for slots, _ in parts])
        np.testing.assert_array_equal(slots, np.arange(len(slots)))
        batches.append(np.concatenate([indices for _, indices in parts]))
    return batches


@pytest.mark.parametrize("num_interactions", [1, 2, 3, 255, 256, 257, 1000, 65537])
def test_every_interaction_comes_exactly_once_an_epoch(num_interactions):
    indices = np.concatenate(epoch_of(num_interactions, 300, seed=3, epoch=1, size=1))
    np.testing.assert_array_equal(np.sort(indices), np.arange(num_interactions))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 700), st.integers(1, 90), st.integers(0, 2**62), st.integers(0, 1000), st.integers(1, 6))
def test_any_number_of_workers_sees_the_same_global_batches(num_interactions, batch_size, seed, epoch, size):
    alone = epoch_of(num_interactions, batch_size, seed, epoch, 1)
    together = epoch_of(num_interactions, batch_size, seed, epoch, size)
    assert len(alone) == num_steps(num_interactions, batch_size)
    assert [len(batch) for batch in alone[:-1]] == [batch_size] * (len(alone) - 1)
    for one, many in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, many)
    np.testing.assert_array_equal(np.sort(np.concatenate(together)), np.arange(num_interactions))


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_the_parts_of_a_batch_differ_by_one_at_most_and_the_last_may_be_empty(size):
    lengths = [len(batch_slice(1003, 100, 0, 0, 0, rank, size)[0]) for rank in range(size)]
    assert sum(lengths) == 100 and max(lengths) - min(lengths) <= 1
    last = [batch_slice(1001, 100, 0, 0, 10, rank, size) for rank in range(size)]
    assert sum(len(indices) for _, indices in last) == 1
    assert all(slots.dtype == indices.dtype == np.int64 for slots, indices in last)


def test_epochs_and_seeds_give_unrelated_orders():
    positions = np.arange(20_000)
    orders = [permute(positions, 20_000, seed, epoch) for seed, epoch in [(0, 0), (0, 1), (1, 0)]]
    for k, order in enumerate(orders):
        for other in [positions, *orders[:k]]:
            assert abs(np.corrcoef(order, other)[0, 1]) < 5 / np.sqrt(20_000)
            assert (order == other).sum() < 10  # about 1 is expected
        assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 5 / np.sqrt(20_000)


def test_a_batch_is_spread_over_the_whole_range():
    _, indices = batch_slice(1_000_000, 20_000, 5, 0, 17, 0, 1)
    assert stats.chisquare(np.bincount(indices // 10_000, minlength=100)).pvalue > SMALLEST_P
    assert stats.chisquare(np.bincount(indices % 64, minlength=64)).pvalue > SMALLEST_P


@pytest.mark.parametrize("num_interactions", [2, 3, 4, 5])
def test_all_orders_of_a_few_are_equally_likely(num_interactions):
    positions, num_orders = np.arange(num_interactions), math.factorial(num_interactions)
    orders = [permute(positions, num_interactions, 0, epoch) for epoch in range(50 * num_orders)]
    counts = np.unique(orders, axis=0, return_counts=True)[1]
    assert len(counts) == num_orders and stats.chisquare(counts).pvalue > SMALLEST_P


def test_a_billion_interactions_cost_no_memory():
    _, indices = batch_slice(1_007_000_000, 8192, 1, 3, 100_000, 0, 1)
    assert len(np.unique(indices)) == 8192 and indices.min() >= 0 and indices.max() < 1_007_000_000
    assert indices.max() > 1_000_000_000
