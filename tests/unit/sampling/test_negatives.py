import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dualgnn_dist.base import randomness
from dualgnn_dist.base.csr import ShardedCSR
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.sampling.negatives import NegativeSampler, alias_table, popularity_weights

SMALLEST_P = 1e-4


def csr_of(rows):
    offsets = np.cumsum([0, *map(len, rows)])
    return ShardedCSR.from_arrays(offsets, np.array([item for row in rows for item in sorted(row)], dtype=np.int32))


def sharded(rows, rows_per_shard):
    parts = [csr_of(rows[start : start + rows_per_shard]) for start in range(0, len(rows), rows_per_shard)]
    offsets, neighbors = [part.offsets[0] for part in parts], [part.neighbors[0] for part in parts]
    return ShardedCSR(len(rows), rows_per_shard, offsets, neighbors)


def by_a_loop(rows, users, slots, num_items, seed, epoch, step):
    """The slow twin: the same hash, sets instead of sorted rows."""
    key = np.uint64(randomness.key(seed, epoch, step, randomness.NEGATIVES))

    def below(n, *counter):
        return randomness.below(np.uint64(randomness.random_bits(key, *counter)), n)

    negatives = []
    for user, slot in zip(users.tolist(), slots.tolist(), strict=True):
        draws = [below(num_items, slot, draw, 0) for draw in range(64)]
        free = [item for item in range(num_items) if item not in rows[user]]
        accepted = [item for item in draws if item not in rows[user]]
        negatives.append(accepted[0] if accepted else free[below(len(free), slot, 0, 1)])
    return negatives


def sample_negatives(user_item, users, slots, num_items, seed, epoch, step):
    """One uniform negative each."""
    return NegativeSampler(user_item, num_items).sample(users, slots, 1, seed, epoch, step)[:, 0]


def repeated(user, count):
    return np.full(count, user, dtype=np.int32), np.arange(count, dtype=np.int64)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_equals_a_loop_and_avoids_the_training_row(data):
    num_items = data.draw(st.integers(1, 300))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    rows = [set(rng.choice(num_items, rng.integers(0, num_items), replace=False).tolist()) for _ in range(20)]
    rows[0] = set(range(num_items)) - {int(rng.integers(num_items))}
    users = rng.integers(0, 20, 50).astype(np.int32)
    slots = rng.permutation(1000)[:50].astype(np.int64)
    expected = by_a_loop(rows, users, slots, num_items, 5, 6, 7)
    for user_item in (csr_of(rows), sharded(rows, 7)):
        negatives = sample_negatives(user_item, users, slots, num_items, 5, 6, 7)
        assert negatives.dtype == np.int32 and negatives.tolist() == expected
    assert all(item not in rows[user] for user, item in zip(users.tolist(), negatives.tolist(), strict=True))


@pytest.mark.parametrize("row", [set(), {0, 1, 2, 10, 39}, set(range(30))])
def test_uniform_over_the_items_outside_the_row(row):
    negatives = sample_negatives(csr_of([{5}, row]), *repeated(1, 20_000), 40, seed=1, epoch=0, step=0)
    counts = np.delete(np.bincount(negatives, minlength=40), sorted(row))
    assert counts.sum() == 20_000 and stats.chisquare(counts).pvalue > SMALLEST_P


@pytest.mark.parametrize("free", [{0, 1}, {0, 4999}, {17, 2000}, {4998, 4999}])
def test_a_user_with_all_but_two_items_gets_either_by_counting(free):
    row = set(range(5000)) - free  # 64 rejections fail for 97 % of the draws
    negatives = sample_negatives(csr_of([row]), *repeated(0, 4000), 5000, seed=2, epoch=0, step=0)
    items, counts = np.unique(negatives, return_counts=True)
    assert set(items.tolist()) == free and stats.chisquare(counts).pvalue > SMALLEST_P


def test_independent_of_how_the_batch_is_cut_and_ordered():
    rng = np.random.default_rng(0)
    rows = [set(rng.choice(60, 30, replace=False).tolist()) for _ in range(9)]
    users, slots = rng.integers(0, 9, 100).astype(np.int32), np.arange(100, dtype=np.int64)
    whole = sample_negatives(csr_of(rows), users, slots, 60, 1, 2, 3)
    order = rng.permutation(100)
    for part in np.array_split(order, 3):
        np.testing.assert_array_equal(
            sample_negatives(csr_of(rows), users[part], slots[part], 60, 1, 2, 3), whole[part]
        )
    assert len(sample_negatives(csr_of(rows), users[:0], slots[:0], 60, 1, 2, 3)) == 0


def test_seed_epoch_and_step_all_change_the_draws():
    def negatives(*when):
        return tuple(sample_negatives(csr_of([{1}]), *repeated(0, 50), 1000, *when).tolist())

    assert len({negatives(1, 1, 1), negatives(2, 1, 1), negatives(1, 2, 1), negatives(1, 1, 2)}) == 4


def test_a_user_who_has_every_item_is_named():
    with pytest.raises(UserError, match=r"user 1 \(row index\) has all 3 items that can .* leave this user out"):
        sample_negatives(csr_of([{0}, {0, 1, 2}]), np.array([0, 1], dtype=np.int32), np.arange(2), 3, 0, 0, 0)


def test_several_negatives_begin_with_the_fewer_and_are_independent():
    users, slots = repeated(0, 6000)
    one, three = (NegativeSampler(csr_of([{1, 2}]), 12).sample(users, slots, number, 3, 1, 4) for number in (1, 3))
    assert three.shape == (6000, 3)
    np.testing.assert_array_equal(three[:, :1], one)
    table = np.zeros((12, 12))
    np.add.at(table, (three[:, 1], three[:, 2]), 1)
    table = np.delete(np.delete(table, [1, 2], 0), [1, 2], 1)
    assert table.sum() == 6000 and stats.chi2_contingency(table).pvalue > SMALLEST_P


@pytest.mark.parametrize("alpha", [0.0, 0.75, 1.0, 2.0])
@pytest.mark.parametrize("row", [set(), {3, 7, 9}, set(range(1, 11))])
def test_popularity_is_the_weight_of_the_items_outside_the_row(alpha, row):
    degrees = np.array([0, 1, 2, 3, 4, 5, 6, 50, 80, 300, 2000, 2, 7])
    weights = popularity_weights(degrees, alpha)
    assert weights[0] == 0 and weights[4] == pytest.approx(4**alpha)
    sampler = NegativeSampler(csr_of([{5}, row]), len(degrees), weights)
    negatives = sampler.sample(*repeated(1, 30_000), 1, 5, 0, 0).ravel()
    outside = [item for item in range(1, len(degrees)) if item not in row]
    counts = np.bincount(negatives, minlength=len(degrees))
    assert counts.sum() == counts[outside].sum(), "an item of the row, or one that nobody has met"
    expected = weights[outside] / weights[outside].sum() * 30_000
    assert stats.chisquare(counts[outside], expected).pvalue > SMALLEST_P


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50).filter(lambda values: sum(values) > 0))
def test_an_alias_table_holds_its_weights(values):
    weights = np.array(values)
    keep, alias = alias_table(weights)
    chance = keep / len(weights)
    np.add.at(chance, alias, (1 - keep) / len(weights))
    np.testing.assert_allclose(chance, weights / weights.sum(), atol=1e-9)


def test_a_user_who_has_every_item_with_weight_is_named():
    sampler = NegativeSampler(csr_of([{0}, {0, 2}]), 4, np.array([1.0, 0.0, 3.0, 0.0]))
    assert set(sampler.sample(*repeated(0, 50), 1, 0, 0, 0).ravel().tolist()) == {2}
    with pytest.raises(UserError, match=r"user 1 \(row index\) has all 2 items that can be negatives"):
        sampler.sample(*repeated(1, 1), 1, 0, 0, 0)
