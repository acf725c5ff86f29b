"""The co-occurrence kernel against a count by hand, with many ties."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.build.cooccurrence import BLOCK_USERS, cooccurrence
from dualgnn_dist.build.graph import csr_from_pairs


def fast(
    edges: np.ndarray, k: int, rows_per_shard: int = 1000, max_item_degree: int | None = None, num_threads: int = 1
) -> list[list[tuple[int, int]]]:
    """(neighbour, count) of every user by the kernel, from a bool [U, I] array."""
    users, items = (column.astype(np.int32) for column in np.nonzero(edges))
    user_item = csr_from_pairs(users, items, *edges.shape)
    item_user = csr_from_pairs(items, users, *edges.shape[::-1])
    lists = []
    for offsets, neighbors, counts in cooccurrence(
        user_item,
        item_user,
        k,
        rows_per_shard=rows_per_shard,
        max_item_degree=max_item_degree,
        num_threads=num_threads,
    ):
        assert (offsets.dtype, neighbors.dtype, counts.dtype) == (np.int64, np.int32, np.int32)
        assert offsets[0] == 0 and offsets[-1] == len(neighbors) == len(counts)
        pairs = list(zip(neighbors.tolist(), counts.tolist(), strict=True))
        lists += [pairs[start:end] for start, end in pairwise(offsets)]
    return lists


def slow(edges: np.ndarray, k: int, max_item_degree: int | None = None) -> list[list[tuple[int, int]]]:
    counted = edges if max_item_degree is None else edges[:, edges.sum(axis=0) <= max_item_degree]
    shared = counted.astype(int) @ counted.T.astype(int)
    lists = []
    for user, row in enumerate(shared):
        others = [(other, int(count)) for other, count in enumerate(row) if count and other != user]
        lists.append(sorted(others, key=lambda pair: (-pair[1], pair[0]))[:k])
    return lists


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    num_users=st.integers(1, 40),
    num_items=st.integers(1, 12),
    density=st.sampled_from([0.02, 0.2, 0.6, 1.0]),
    k=st.integers(1, 45),
    rows_per_shard=st.sampled_from([1, 7, 100]),
    max_item_degree=st.sampled_from([None, 1, 5]),
)
def test_equal_to_a_count_by_hand(
    seed: int, num_users: int, num_items: int, density: float, k: int, rows_per_shard: int, max_item_degree: int | None
) -> None:
    edges = np.random.default_rng(seed).random((num_users, num_items)) < density
    assert fast(edges, k, rows_per_shard, max_item_degree) == slow(edges, k, max_item_degree)


def test_ties_go_to_the_smaller_index() -> None:
    edges = np.ones((6, 1), dtype=bool)
    assert fast(edges, 3)[0] == [(1, 1), (2, 1), (3, 1)]
    assert fast(edges, 3)[4] == [(0, 1), (1, 1), (2, 1)]


@pytest.mark.parametrize("num_threads", [2, 3])
def test_blocks_and_threads_do_not_matter(num_threads: int) -> None:
    edges = np.random.default_rng(0).random((2 * BLOCK_USERS + 77, 60)) < 0.1
    expected = slow(edges, 20)
    assert fast(edges, 20, num_threads=num_threads) == expected
    assert fast(edges, 20, rows_per_shard=BLOCK_USERS + 3, num_threads=num_threads) == expected
