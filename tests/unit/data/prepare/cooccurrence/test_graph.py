"""The co-occurrence kernels against a count by hand, with many ties."""

from __future__ import annotations

import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.base.csr import ShardedCSR
from dualgnn_dist.data.prepare.cooccurrence import graph as module
from dualgnn_dist.data.prepare.cooccurrence.bitmaps import POPULAR_ONE_IN, Bitmaps
from dualgnn_dist.data.prepare.cooccurrence.counters import CounterScratch, _threshold
from dualgnn_dist.data.prepare.cooccurrence.graph import cooccurrence

Pairs = list[list[tuple[int, int]]]
NEVER, ALWAYS = 1e-9, 1e9  # for BITS_ONE_IN


def graphs(edges: np.ndarray) -> tuple[ShardedCSR, ShardedCSR]:
    """Both directions of a bool [U, I] array."""
    users, items = (column.astype(np.int32) for column in np.nonzero(edges))
    return ShardedCSR.from_pairs(users, items, edges.shape[0]), ShardedCSR.from_pairs(items, users, edges.shape[1])


def skewed(num_users: int, num_items: int, seed: int = 0) -> np.ndarray:
    """Items from one that everybody has to many that few have: some get bits, others do not."""
    shares = np.minimum(1.0, 3.0 / np.arange(1, num_items + 1))
    edges = np.random.default_rng(seed).random((num_users, num_items)) < shares
    degrees = edges.sum(axis=0) * POPULAR_ONE_IN
    assert (degrees >= num_users).any() and ((degrees > 0) & (degrees < num_users)).any()
    return edges


def fast(edges: np.ndarray, k: int, rows_per_shard: int = 10**6, **arguments: Any) -> Pairs:
    """(neighbour, count) of every user by the kernels."""
    lists = []
    for offsets, neighbors, counts in cooccurrence(*graphs(edges), k, rows_per_shard=rows_per_shard, **arguments):
        assert (offsets.dtype, neighbors.dtype, counts.dtype) == (np.int64, np.int32, np.int32)
        assert offsets[0] == 0 and offsets[-1] == len(neighbors) == len(counts)
        assert len(offsets) - 1 <= rows_per_shard
        pairs = list(zip(neighbors.tolist(), counts.tolist(), strict=True))
        lists += [pairs[start:end] for start, end in pairwise(offsets)]
    return lists


def slow(edges: np.ndarray, k: int, max_item_degree: int | None = None) -> Pairs:
    counted = edges if max_item_degree is None else edges[:, edges.sum(axis=0) <= max_item_degree]
    shared = (counted.astype(float) @ counted.T.astype(float)).astype(int)
    lists = []
    for user, row in enumerate(shared):
        row[user] = 0
        others = np.lexsort((np.arange(len(row)), -row))[:k]
        lists.append([(other, int(row[other])) for other in others.tolist() if row[other]])
    return lists


@pytest.fixture(params=[NEVER, 32, ALWAYS], ids=["counters", "both", "bits"])
def by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Users are counted by counters alone, as it pays, or by bit planes wherever an item has bits."""
    monkeypatch.setattr(module, "BITS_ONE_IN", request.param)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    num_users=st.sampled_from([1, 2, 9, 40]),
    num_items=st.integers(1, 20),
    density=st.sampled_from([0.05, 0.3, 0.6, 1.0]),
    k=st.sampled_from([1, 3, 8, 45]),
    rows_per_shard=st.sampled_from([1, 7, 100]),
    max_item_degree=st.sampled_from([None, 1, 5]),
    bits=st.sampled_from([NEVER, ALWAYS]),
)
def test_equal_to_a_count_by_hand(
    seed: int,
    num_users: int,
    num_items: int,
    density: float,
    k: int,
    rows_per_shard: int,
    max_item_degree: int | None,
    bits: float,
) -> None:
    edges = np.random.default_rng(seed).random((num_users, num_items)) < density
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BITS_ONE_IN", bits)
        lists = fast(edges, k, rows_per_shard, max_item_degree=max_item_degree)
    assert lists == slow(edges, k, max_item_degree)


def test_ties_go_to_the_smaller_index(by: None) -> None:
    edges = np.ones((6, 1), dtype=bool)
    assert fast(edges, 3)[0] == [(1, 1), (2, 1), (3, 1)]
    assert fast(edges, 3)[4] == [(0, 1), (1, 1), (2, 1)]


EXAMPLE = [1, 3, 1, 2, 2, 2]  # how many items users 0 to 5 share with user 6: the example in the kernels' docstrings


def test_the_worked_example(by: None) -> None:
    edges = np.arange(3) < np.array([*EXAMPLE, 3])[:, None]
    assert fast(edges, 3)[6] == [(1, 3), (3, 2), (4, 2)]


def test_the_histogram_of_the_worked_example() -> None:
    scratch = CounterScratch.make(num_users=7, largest_degree=3)
    scratch.counts[:6], scratch.touched[:6] = EXAMPLE, range(6)
    assert _threshold(6, scratch, 3) == (2, 4, 3)
    assert scratch.histogram.tolist() == [0, 2, 1, 0]


def test_far_more_ties_than_places(by: None) -> None:
    edges = np.zeros((9000, 3), dtype=bool)
    edges[:, 0] = True
    edges[::2000, 1] = True
    lists = fast(edges, 6)
    heavy = [(user, 2) for user in range(0, 9000, 2000)]
    assert lists[4000] == [pair for pair in heavy if pair[0] != 4000] + [(1, 1), (2, 1)]
    assert lists[7] == [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]
    assert lists[8999] == lists[7]


@pytest.mark.parametrize("max_item_degree", [None, 400, 3])
def test_popular_and_rare_items(by: None, max_item_degree: int | None) -> None:
    edges = skewed(1700, 900)
    assert fast(edges, 20, max_item_degree=max_item_degree) == slow(edges, 20, max_item_degree)


def test_counts_of_many_digits(by: None) -> None:
    edges = np.random.default_rng(0).random((70, 700)) < 0.8
    lists = fast(edges, 30)
    assert max(count for pairs in lists for _, count in pairs) > 256
    assert lists == slow(edges, 30)


@pytest.mark.parametrize("num_threads", [1, 3])
@pytest.mark.parametrize("rows_per_shard", [10**6, 600, 50])
def test_blocks_threads_and_shards_do_not_matter(
    monkeypatch: pytest.MonkeyPatch, num_threads: int, rows_per_shard: int
) -> None:
    edges = skewed(1700, 900)
    expected = slow(edges, 20)
    for size in (37, 10**6):
        monkeypatch.setattr(module, "LARGEST_BLOCK", size)
        assert fast(edges, 20, rows_per_shard, num_threads=num_threads) == expected


def test_a_block_needs_nothing_but_what_it_is_handed() -> None:
    def elsewhere(function: Any, shared: Any, blocks: Any) -> Any:
        for block in blocks:
            own_function, own_shared, own_block = pickle.loads(pickle.dumps((function, shared, block)))
            own_shared.bitmaps.words.flags.writeable = False  # as in an object store
            yield own_function(own_shared, *own_block)

    edges = skewed(1700, 900)
    assert fast(edges, 20, block_map=elsewhere) == fast(edges, 20)


def test_graphs_in_mapped_files_are_handed_over_as_plain_arrays(tmp_path: Path) -> None:
    def mapped(name: str, csr: ShardedCSR) -> ShardedCSR:
        for part, (array,) in {"offsets": csr.offsets, "neighbors": csr.neighbors}.items():
            np.save(tmp_path / f"{name}-{part}.npy", array)
        arrays = (np.load(tmp_path / f"{name}-{part}.npy", mmap_mode="r") for part in ("offsets", "neighbors"))
        return ShardedCSR(csr.num_rows, csr.rows_per_shard, *([array] for array in arrays))

    def here(function: Any, shared: Any, blocks: Any) -> Any:
        assert all(type(array) is np.ndarray for csr in shared[:2] for arrays in csr[2:] for array in arrays)
        return (function(shared, *block) for block in blocks)

    user_item, item_user = graphs(skewed(1700, 900))
    expected = next(cooccurrence(user_item, item_user, 20, rows_per_shard=1700))
    user_item, item_user = mapped("user_item", user_item), mapped("item_user", item_user)
    of_mapped = next(cooccurrence(user_item, item_user, 20, rows_per_shard=1700, block_map=here))
    for one, other in zip(expected, of_mapped, strict=True):
        np.testing.assert_array_equal(one, other)


def test_progress_names_the_users_that_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_BLOCK", 100)
    done: list[int] = []
    fast(skewed(1700, 900), 5, 950, progress=done.append)
    assert done == [*range(100, 1000, 100), 950, *range(1050, 1700, 100), 1700]


def test_the_graph_of_nobody_and_of_strangers() -> None:
    assert fast(np.zeros((0, 4), dtype=bool), 3) == []
    assert fast(np.zeros((3, 4), dtype=bool), 3) == [[], [], []]
    assert fast(np.eye(3, dtype=bool), 3) == [[], [], []]


def test_bits_are_never_much_larger_than_the_lists() -> None:
    edges = skewed(1700, 900)
    bitmaps = Bitmaps.make(graphs(edges)[1], len(edges), limit=10**6)
    popular = np.flatnonzero(bitmaps.row_of)
    bits = np.unpackbits(bitmaps.words.view(np.uint8), axis=1, bitorder="little")[:, : len(edges)]
    assert not bits[0].any()
    np.testing.assert_array_equal(bits[bitmaps.row_of[popular]].T, edges[:, popular])
    assert set(popular) == set(np.flatnonzero(edges.sum(axis=0) * POPULAR_ONE_IN >= len(edges)))
    assert not Bitmaps.make(graphs(edges)[1], len(edges), limit=3).row_of.any()
