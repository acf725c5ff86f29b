"""Communities of users are directions of their vectors."""

from __future__ import annotations

import numpy as np
import pytest

from dualgnn_dist.results.explain.communities import communities_of, share_between


def test_communities_are_directions_and_the_largest_comes_first() -> None:
    generator = np.random.default_rng(5)
    centres = np.eye(4, dtype=np.float32)
    truth = np.repeat([2, 0, 3, 1], [50, 30, 20, 10])
    vectors = (centres[truth] + 0.05 * generator.standard_normal((110, 4))) * generator.uniform(0.1, 9, (110, 1))
    found = communities_of(vectors.astype(np.float32), 4, seed=1)
    assert np.bincount(found).tolist() == [50, 30, 20, 10]
    assert len(set(zip(truth.tolist(), found.tolist(), strict=True))) == 4
    assert (found == communities_of(vectors.astype(np.float32), 4, seed=1)).all()


@pytest.mark.filterwarnings("error")  # k-means++ divides by zero when it is asked for more centres than points
def test_no_more_communities_than_directions() -> None:
    vectors = np.array([[1, 0], [2, 0], [0, 1], [0, 0]], dtype=np.float32)
    assert sorted(np.bincount(communities_of(vectors, 4, seed=1)).tolist()) == [1, 1, 2]


def test_the_share_between_communities() -> None:
    communities = np.array([0, 0, 1, 1])
    assert share_between(np.array([1.0, 1.0, 3.0, 3.0]), communities) == pytest.approx(1)
    assert share_between(np.array([1.0, 3.0, 1.0, 3.0]), communities) == pytest.approx(0)
    assert share_between(np.array([0.0, 2.0, 2.0, 4.0]), communities) == pytest.approx(0.5)
    assert share_between(np.ones(4), communities) == 0
