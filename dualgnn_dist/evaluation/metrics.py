"""Ranking metrics of a block of users, kept as sums and counts until the very end.

Workers hold disjoint users: each adds up its own (`sums`), the sums travel, and one division (`means`) ends it. Full
precision throughout; rounding is for printing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.kernels import kernel

NdcgConvention = Literal["standard", "dualgnn"]
NAMES = ("precision", "recall", "ndcg", "hitrate", "map", "mrr")


class MetricKey(NamedTuple):
    """`recall@20`: what is counted, and in lists of which length."""

    name: str
    k: int

    def __str__(self) -> str:
        return f"{self.name}@{self.k}"

    @classmethod
    def parse(cls, key: str) -> MetricKey:
        """The inverse of `str`."""
        name, _, k = key.partition("@")
        return cls(name, int(k))


def metric_keys(ks: tuple[int, ...]) -> list[str]:
    """The keys of all that is computed for these list lengths: `precision@5`, ..."""
    return [str(MetricKey(name, k)) for name in NAMES for k in ks]


def is_metric(key: str) -> bool:
    """Whether it is the key of a metric; what else is told beside them (`num_users`) is none."""
    k = key.partition("@")[2]
    return k.isdecimal() and len(k) < 10


def by_k(values: Mapping[str, float]) -> dict[int, dict[str, float]]:
    """K -> metric's name -> value, in the order they come in; what is no metric is left out."""
    table: dict[int, dict[str, float]] = {}
    for key in filter(is_metric, values):
        name, k = MetricKey.parse(key)
        table.setdefault(k, {})[name] = values[key]
    return table


def headline(metric: str) -> list[str]:
    """The metrics that a line on the screen has room for: the one that decides, recall and NDCG at the same K."""
    k = MetricKey.parse(metric).k
    return list(dict.fromkeys([metric, str(MetricKey("recall", k)), str(MetricKey("ndcg", k))]))


def user_metrics(
    ranked: np.ndarray,
    held_out: tuple[np.ndarray, np.ndarray],
    ks: tuple[int, ...],
    ndcg_convention: NdcgConvention = "standard",
) -> dict[str, np.ndarray]:
    """Every metric of every user: `hits` are the listed items that are held out.

    precision = hits / K. recall = hits / |held out|. hitrate = 1 if there is a hit. mrr = 1 / rank of the first hit.
    map = (sum over hits of the precision at their rank) / min(K, |held out|).
    ndcg = (sum over hits of 1 / log2(rank + 1)) / (the same sum for the best list: min(K, |held out|) hits on top). The
    convention `dualgnn` puts the number of hits inside the list there, as the released DualGNN does.

    Args:
        ranked: int32 [n, K], best first, -1 = no item.
        held_out: int64 [n + 1] offsets into int32 items, ascending within a user.
        ks: list lengths, at most K.

    Returns:
        `name@k` -> float64 [n], NaN for a user without a held-out item.
    """
    assert ranked.ndim == 2 and len(held_out[0]) == len(ranked) + 1 and min(ks) > 0 and max(ks) <= ranked.shape[1]
    hits = _find_hits(ranked, *held_out).astype(np.float64)
    num_held = np.diff(held_out[0])
    num_hits, dcg, precision_sum, reciprocal_rank = _cumulative(hits)
    ideal = np.concatenate([[0.0], _cumulative(np.ones((1, ranked.shape[1])))[1][0]])  # DCG of so many hits on top
    counts_user = np.where(num_held > 0, 1.0, np.nan)
    metrics: dict[str, np.ndarray] = {}
    for k in ks:
        hits_at_k, possible_hits = num_hits[:, k - 1], np.minimum(num_held, k)
        ideal_hits = possible_hits if ndcg_convention == "standard" else hits_at_k.astype(np.int64)
        metrics |= {
            f"precision@{k}": hits_at_k / k * counts_user,
            f"recall@{k}": hits_at_k / np.maximum(num_held, 1) * counts_user,
            f"ndcg@{k}": dcg[:, k - 1] / ideal[np.maximum(ideal_hits, 1)] * counts_user,
            f"hitrate@{k}": (hits_at_k > 0) * counts_user,
            f"map@{k}": precision_sum[:, k - 1] / np.maximum(possible_hits, 1) * counts_user,
            f"mrr@{k}": reciprocal_rank[:, k - 1] * counts_user,
        }
    return {key: metrics[key] for key in metric_keys(ks)}


def _cumulative(hits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of float64 `hits` [n, K], over the first k of each list: hits, DCG, sum of the precisions at hits, 1 / first."""
    ranks = np.arange(1, hits.shape[1] + 1)
    num_hits = np.cumsum(hits, axis=1)
    dcg = np.cumsum(hits / np.log2(ranks + 1), axis=1)
    precision_sum = np.cumsum(hits * num_hits / ranks, axis=1)
    return num_hits, dcg, precision_sum, np.maximum.accumulate(hits / ranks, axis=1)


def sums(metrics: dict[str, np.ndarray]) -> dict[str, float]:
    """Adds up over the users that have held-out items; `num_users` says how many. Add these over disjoint users."""
    total = {key: float(np.nansum(values)) for key, values in metrics.items()}
    return total | {"num_users": float(np.sum(~np.isnan(next(iter(metrics.values())))))}


def means(sums: dict[str, float]) -> dict[str, float]:
    """The final figures from the sums over all workers.

    Raises:
        UserError: no user has a held-out item.
    """
    num_users = sums["num_users"]
    if num_users == 0:
        raise UserError(
            "no user has a held-out item, so there is nothing to evaluate: choose a split that holds out interactions"
        )
    return {key: value / num_users for key, value in sums.items() if key != "num_users"}


@kernel
def _find_hits(ranked: np.ndarray, offsets: np.ndarray, items: np.ndarray) -> np.ndarray:
    """bool [n, K]: whether each listed item is among the user's held-out items."""
    hits = np.zeros(ranked.shape, dtype=np.bool_)
    for user in range(len(ranked)):
        held = items[offsets[user] : offsets[user + 1]]
        for rank in range(ranked.shape[1]):
            place = np.searchsorted(held, ranked[user, rank])
            hits[user, rank] = place < len(held) and held[place] == ranked[user, rank]
    return hits
