"""All splits: shares, order in time, no user lost, and refusals."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.counting_sort import row_offsets
from dualgnn_dist.data.prepare.interactions import InteractionTable
from dualgnn_dist.data.prepare.scratch import Scratch
from dualgnn_dist.data.prepare.split import TEST, TRAIN, VALID, SplitMethod, _within_users, split

SHARES = (0.7, 0.1, 0.2)
SCRATCH = Scratch(Path(tempfile.gettempdir()), block_rows=100)


def make(num_users: int, mean: float, seed: int = 0) -> InteractionTable:
    generator = np.random.default_rng(seed)
    degrees = generator.integers(1, int(2 * mean), size=num_users)
    users = np.repeat(np.arange(num_users, dtype=np.int32), degrees)
    items = np.concatenate([np.arange(degree, dtype=np.int32) for degree in degrees])
    times = generator.integers(0, 50, size=len(users))  # many ties
    labels = generator.integers(0, 3, size=len(users)).astype(np.int8)
    return InteractionTable(users, items, times, labels)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), mean=st.sampled_from([2, 5, 30]))
@pytest.mark.parametrize("method", ["random", "user_time", "leave_one_out"])
def test_within_users_every_user_keeps_a_training_interaction(method: SplitMethod, seed: int, mean: int) -> None:
    table = make(200, mean, seed)
    codes = split(table, method, SHARES, 200, seed, SCRATCH)
    assert codes.dtype == np.int8 and len(codes) == len(table)
    assert np.bincount(table.users[codes == TRAIN], minlength=200).min() >= 1


@pytest.mark.parametrize("method", ["random", "user_time", "global_time"])
def test_shares_are_met(method: SplitMethod) -> None:
    table = make(3000, 12)
    table = InteractionTable(table.users, table.items, np.random.default_rng(1).permutation(len(table)))
    codes = split(table, method, SHARES, 3000, 1, SCRATCH)
    shares = np.bincount(codes) / len(codes)
    np.testing.assert_allclose(shares, SHARES, atol=0.015)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    mean=st.sampled_from([2, 5, 60]),
    timed=st.sampled_from(["not", "whole", "fractions"]),
    one_each=st.booleans(),
)
def test_the_last_of_a_user_are_those_that_a_sort_puts_last(seed: int, mean: int, timed: str, one_each: bool) -> None:
    table = make(40, mean, seed)
    offsets, timestamps = row_offsets(table.users, 40), None if timed == "not" else table.timestamps
    fractions = np.random.default_rng(seed).integers(0, 3, len(table)) / 3 if timed == "fractions" else None
    times = timestamps, fractions
    codes = _within_users(offsets, times, None if one_each else SHARES, np.random.default_rng(seed), SCRATCH)
    generator = np.random.default_rng(seed)
    places = np.argsort(generator.permutation(len(table))).tolist()  # where the random order has each interaction
    draws = [] if one_each else generator.random((2, 40)).T.tolist()
    for user in range(40):
        mine = list(range(offsets[user], offsets[user + 1]))
        mine.sort(key=lambda row: (*(0 if part is None else part[row] for part in times), places[row]))
        wanted = [1, 1] if one_each else [int(len(mine) * SHARES[2 - k] + draws[user][k]) for k in (0, 1)]
        num_test = min(wanted[0], len(mine) - 1)
        num_valid = min(wanted[1], len(mine) - 1 - num_test)
        num_train = len(mine) - num_valid - num_test
        assert [int(codes[row]) for row in mine] == [TRAIN] * num_train + [VALID] * num_valid + [TEST] * num_test


@pytest.mark.parametrize("method", ["user_time", "leave_one_out"])
def test_later_interactions_of_a_user_are_held_out(method: SplitMethod) -> None:
    table = make(100, 8)
    assert table.timestamps is not None
    codes = split(table, method, SHARES, 100, 3, SCRATCH)
    for user in range(100):
        mine = table.users == user
        times = [table.timestamps[mine & (codes == code)] for code in (TRAIN, VALID, TEST)]
        for earlier, later in ((0, 1), (0, 2), (1, 2)):
            if len(times[earlier]) and len(times[later]):
                assert times[earlier].max() <= times[later].min()


def test_leave_one_out_leaves_one_each() -> None:
    table = make(100, 4)
    codes = split(table, "leave_one_out", SHARES, 100, 3, SCRATCH)
    degrees = np.bincount(table.users, minlength=100)
    assert set(degrees) >= {1, 2, 3}
    np.testing.assert_array_equal(np.bincount(table.users[codes == TEST], minlength=100), degrees >= 2)
    np.testing.assert_array_equal(np.bincount(table.users[codes == VALID], minlength=100), degrees >= 3)


def test_global_time_cuts_at_two_moments() -> None:
    table = make(300, 8)
    assert table.timestamps is not None
    codes = split(table, "global_time", SHARES, 300, 3, SCRATCH)
    times = [table.timestamps[codes == code] for code in (TRAIN, VALID, TEST)]
    assert times[0].max() < times[1].min() and times[1].max() < times[2].min()


def test_global_time_cuts_within_a_whole_number() -> None:
    table = make(300, 8)
    moments = np.random.default_rng(5).random(len(table)) * 4
    whole = np.floor(moments).astype(np.int64)
    cut = dataclasses.replace(table, timestamps=whole, fractions=moments - whole)
    codes = split(cut, "global_time", SHARES, 300, 3, SCRATCH)
    times = [moments[codes == code] for code in (TRAIN, VALID, TEST)]
    assert times[0].max() < times[1].min() and times[1].max() < times[2].min()
    np.testing.assert_allclose([len(part) / len(table) for part in times], SHARES, atol=0.01)


@pytest.mark.parametrize("method", get_args(SplitMethod))
def test_the_seed_decides_and_nothing_else(method: SplitMethod) -> None:
    table = make(300, 8)
    first, again, other = (split(table, method, SHARES, 300, seed, SCRATCH) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any() == (method in ("random", "user_time", "leave_one_out", "cold_items"))


def test_cold_items_are_held_out_whole_and_the_others_split_within_users() -> None:
    table = make(300, 8)
    codes = split(table, "cold_items", SHARES, 300, 1, SCRATCH, cold_share=0.25)
    items = np.unique(table.items)
    trained = np.unique(table.items[codes == TRAIN])
    cold = np.setdiff1d(items, trained)
    assert abs(len(cold) / len(items) - 0.25) < 0.1
    is_cold = np.isin(table.items, cold)
    assert {VALID, TEST} == set(codes[is_cold].tolist())
    assert (codes[is_cold] == TEST).mean() == pytest.approx(SHARES[2] / (SHARES[1] + SHARES[2]), abs=0.1)
    assert (codes[~is_cold] == TRAIN).mean() == pytest.approx(SHARES[0], abs=0.1)
    warm_users = np.unique(table.users[~is_cold])
    assert np.isin(warm_users, table.users[codes == TRAIN]).all()


def test_given_is_what_was_given() -> None:
    table = make(30, 8)
    np.testing.assert_array_equal(split(table, "given", SHARES, 30, 1, SCRATCH), table.splits)


PAIRS: Any = (np.array([0, 1], dtype=np.int32), np.array([0, 0], dtype=np.int32))


@pytest.mark.parametrize(
    ("table", "method", "message"),
    [
        (InteractionTable(*PAIRS), "given", "prepare.split is 'given', but the input names no splits"),
        (InteractionTable(*PAIRS), "user_time", "'user_time', but the input has no timestamps; name their column"),
        (InteractionTable(*PAIRS), "global_time", "'global_time', but the input has no timestamps"),
        (InteractionTable(*PAIRS, None, np.array([0, 3], dtype=np.int8)), "given", "has a split label 3; labels are"),
        (InteractionTable(*PAIRS, None, np.array([0, 2], dtype=np.int8)), "given", "no valid interaction of 2; choose"),
        (InteractionTable(*PAIRS), "random", r"'random' leaves no valid .* or other split_shares than \[0.7, 0.1, 0.2"),
        (InteractionTable(*PAIRS), "leave_one_out", "'leave_one_out', but the input has no timestamps; name their"),
        (
            InteractionTable(*PAIRS, np.arange(2)),
            "leave_one_out",
            "'leave_one_out' leaves no valid interaction of 2; choo",
        ),
        (InteractionTable(*PAIRS, np.array([5, 5])), "global_time", "'global_time' leaves no train interaction of 2"),
    ],
)
def test_refusals(table: InteractionTable, method: SplitMethod, message: str) -> None:
    with pytest.raises(UserError, match=message):
        split(table, method, SHARES, 2, 1, SCRATCH)
