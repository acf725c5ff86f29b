"""Communities of users: k-means of their directions, and how numbers of users spread within and between them."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.cluster.vq import kmeans2

_ITERATIONS = 50


def communities_of(vectors: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The community of each user, int64 [n], the largest first; at most `count`, none of them empty.

    Args:
        vectors: float32 [n, d]; only their directions count.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = vectors / np.where(lengths > 0, lengths, 1)
    rng = np.random.default_rng(seed)
    # k-means++ needs as many different points as it makes centres; along a random line they differ as in space.
    different = len(np.unique(directions @ rng.standard_normal(directions.shape[1])))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One of the clusters is empty")  # it gets the last number, and no user
        centres, nearest = kmeans2(
            directions.astype(np.float64), min(count, different), iter=_ITERATIONS, minit="++", rng=rng
        )
    sizes = np.bincount(nearest, minlength=len(centres))
    rank = np.empty(len(sizes), dtype=np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return rank[nearest]


def share_between(values: np.ndarray, communities: np.ndarray) -> float:
    """How much of the variance of float [n] values lies between communities (eta squared), 0 to 1."""
    values = values.astype(np.float64)
    sizes = np.bincount(communities)
    means = np.bincount(communities, weights=values) / np.maximum(sizes, 1)
    total = float(((values - values.mean()) ** 2).sum())
    return float((sizes * (means - values.mean()) ** 2).sum()) / total if total > 0 else 0.0
