import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.evaluation.top_k import _tolerances, top_k


def exact_scores(users, items):
    """[n, I] float64: four interleaved sums, then (a + b) + (c + d)."""
    sums = np.zeros((4, len(users), len(items)))
    whole = users.shape[1] - users.shape[1] % 4
    for k in range(users.shape[1]):
        sums[k % 4 if k < whole else 0] += np.outer(users[:, k].astype(np.float64), items[:, k].astype(np.float64))
    return (sums[0] + sums[1]) + (sums[2] + sums[3])


def by_sorting(users, items, excluded, k):
    """The slow twin: every score in float64, sorted whole."""
    offsets, ids = excluded
    best_items = np.full((len(users), k), -1, dtype=np.int32)
    best_scores = np.full((len(users), k), -np.inf)
    for user, scores in enumerate(exact_scores(users, items)):
        order = np.lexsort((np.arange(len(items)), -scores))
        order = order[~np.isin(order, ids[offsets[user] : offsets[user + 1]])][:k]
        best_items[user, : len(order)] = order
        best_scores[user, : len(order)] = scores[order]
    return best_items, best_scores


def excluding(rows):
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    return offsets, np.array([item for row in rows for item in sorted(row)], dtype=np.int32)


def random_rows(rng, num_users, num_items, most):
    return [rng.choice(num_items, rng.integers(0, most + 1), replace=False).tolist() for _ in range(num_users)]


def vectors_of(kind, rng, num_users, num_items, width):
    users = rng.standard_normal((num_users, width)).astype(np.float32)
    items = rng.standard_normal((num_items, width)).astype(np.float32)
    if kind == "duplicates":
        items = items[rng.integers(0, 5, num_items) % max(1, num_items)]
    elif kind == "zeros":
        users[::2], items[::3] = 0, 0
    elif kind == "near ties":  # they differ by less than float32 products can tell
        items = items[:1] * (1 + np.float32(2**-22) * rng.integers(-2, 3, items.shape).astype(np.float32))
    elif kind == "huge":  # products overflow float32 to inf, -inf and NaN
        users, items = users * np.float32(1e30), items * np.float32(1e20)
    elif kind == "tiny":  # products are below the smallest normal float32
        users, items = users * np.float32(1e-20), items * np.float32(1e-24)
    elif kind == "uneven norms":
        items *= np.float32(10.0) ** rng.integers(-6, 7, (num_items, 1)).astype(np.float32)
    return users, items


def assert_ranks(users, items, excluded, k, **settings):
    expected_items, expected_scores = by_sorting(users, items, excluded, k)
    ranked, scores = top_k(torch.from_numpy(users), torch.from_numpy(items), excluded, k, **settings)
    assert ranked.dtype == np.int32 and scores.dtype == np.float64
    np.testing.assert_array_equal(ranked, expected_items)
    np.testing.assert_array_equal(scores, expected_scores)


KINDS = ["plain", "duplicates", "zeros", "near ties", "huge", "tiny", "uneven norms"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("blocks", [1, 2, 7])
@pytest.mark.parametrize("num_threads", [1, 2])
def test_equals_a_full_sort_in_any_blocks_and_threads(kind, blocks, num_threads):
    rng = np.random.default_rng(KINDS.index(kind))
    users, items = vectors_of(kind, rng, 60, 900, 16)
    excluded = excluding(random_rows(rng, 60, 900, 40))
    user_block, item_block = -(-60 // blocks), -(-900 // blocks)
    assert_ranks(users, items, excluded, 20, user_block=user_block, item_block=item_block, num_threads=num_threads)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_equals_a_full_sort_for_any_sizes(data):
    num_users, num_items = data.draw(st.integers(0, 9)), data.draw(st.integers(0, 200))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    kind, width = data.draw(st.sampled_from(KINDS)), data.draw(st.integers(1, 11))
    users, items = vectors_of(kind, rng, num_users, num_items, width)
    excluded = excluding(random_rows(rng, num_users, num_items, num_items))
    blocks = {"user_block": data.draw(st.integers(1, 10)), "item_block": data.draw(st.integers(1, 210))}
    assert_ranks(users, items, excluded, data.draw(st.integers(1, 30)), **blocks, num_threads=2)


def test_the_best_items_are_passed_over_when_excluded_and_lists_are_padded():
    users = np.array([[1.0], [1.0], [-1.0]], dtype=np.float32)
    items = np.array([[4.0], [3.0], [2.0], [1.0]], dtype=np.float32)
    ranked, scores = top_k(torch.tensor(users), torch.tensor(items), excluding([[0, 2], [0, 1, 2, 3], []]), 3)
    assert ranked.tolist() == [[1, 3, -1], [-1, -1, -1], [3, 2, 1]]
    assert scores.tolist() == [[3, 1, -np.inf], [-np.inf] * 3, [-1, -2, -3]]


def test_equal_scores_are_ordered_by_index_across_blocks():
    ranked, _ = top_k(torch.ones(2, 3), torch.ones(50, 3), excluding([[1], []]), 4, item_block=2, num_threads=2)
    assert ranked.tolist() == [[0, 2, 3, 4], [0, 1, 2, 3]]


@pytest.mark.parametrize(("precision", "lost_bits"), [("highest", 0), ("high", 13), ("medium", 16)])
def test_the_tolerance_covers_a_product_of_shortened_factors(precision, lost_bits):
    rng = np.random.default_rng(0)
    users, items = vectors_of("near ties", rng, 40, 600, 64)
    users, items = np.abs(users), np.abs(items)  # all errors then add up
    short_users, short_items = (
        (array.view(np.int32) >> lost_bits << lost_bits).view(np.float32) for array in (users, items)
    )
    scores = torch.mm(torch.tensor(short_users), torch.tensor(short_items).T).numpy()
    torch.set_float32_matmul_precision(precision)
    try:
        tolerances = _tolerances(users, items)
        assert_ranks(users, items, excluding([[]] * 40), 20)
    finally:
        torch.set_float32_matmul_precision("highest")
    errors = np.abs(scores - exact_scores(users, items)).max(axis=1)
    assert (errors < tolerances).all() and (tolerances < 1000 * errors).all()


def test_vectors_may_require_gradients():
    items = torch.nn.Parameter(torch.eye(3))
    assert top_k(items, items, excluding([[], [], []]), 1)[0].tolist() == [[0], [1], [2]]


def test_torch_has_its_threads_back():
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        top_k(torch.eye(3), torch.eye(3), excluding([[], [], []]), 1)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_vector_that_is_not_finite_is_named(bad):
    users, items = torch.ones(4, 2), torch.ones(5, 2)
    items[3, 1] = bad
    with pytest.raises(UserError, match=r"1 of 5 item vectors are not finite, the first is item 3 .*learning rate"):
        top_k(users, items, excluding([[]] * 4), 2)
    with pytest.raises(UserError, match=r"1 of 5 user vectors are not finite, the first is user 3 "):
        top_k(items, users, excluding([[]] * 5), 2)
