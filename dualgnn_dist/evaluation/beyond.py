"""Beyond accuracy: how many items the lists reach, how evenly, how well known they are, how much users' lists differ.

All of it follows from one number an item: in how many users' lists it stands. So workers add up their counts, and the
figures are exact whatever the blocks and workers.
"""

from __future__ import annotations

import numpy as np
import torch

from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.config import Candidates
from dualgnn_dist.evaluation.evaluate import candidate_items
from dualgnn_dist.evaluation.metrics import MetricKey

NAMES = ("coverage", "gini", "popularity", "novelty", "personalization")


class ListCounts:
    """In how many lists of each length every candidate stands.

    Args:
        candidates: what is ranked; lists hold positions among them.
        ks: list lengths.
    """

    def __init__(self, store: Store, candidates: Candidates, ks: tuple[int, ...]) -> None:
        rows = candidate_items(store, candidates)
        num_candidates = store.manifest.num_items if rows is None else len(rows)
        self.ks = ks
        self.counts = np.zeros((len(ks), num_candidates), dtype=np.int64)
        self.num_lists = 0

    def add(self, lists: np.ndarray) -> None:
        """Counts int32 [n, at least max(ks)] lists, best first, -1 where no item is left."""
        self.num_lists += len(lists)
        for place, k in enumerate(self.ks):
            listed = lists[:, :k]
            self.counts[place] += np.bincount(listed[listed >= 0], minlength=self.counts.shape[1])

    def sum_over(self, world: World) -> None:
        """Adds up what all workers counted. Collective."""
        numbers = np.append(self.counts.ravel(), self.num_lists)
        summed = world.sum(torch.from_numpy(numbers).to(world.device)).cpu().numpy()
        self.counts, self.num_lists = summed[:-1].reshape(self.counts.shape), int(summed[-1])


def beyond_accuracy(counts: ListCounts, store: Store, candidates: Candidates) -> dict[str, float]:
    """`name@K` -> value, for lists of `candidates`; c(i) lists of length at most K hold item i, n lists in all.

    - coverage: the share of candidates that stand in a list.
    - gini: of c over the candidates; 0 where all stand in as many lists, near 1 where a few stand in all.
    - popularity: the mean over all entries of an item's training interactions.
    - novelty: the mean over all entries of `-log2(deg(i) / users with a training interaction)`, in bits; an item
      without an interaction counts as one with one.
    - personalization: 1 less the mean over pairs of users of `items in both lists / K`; left out for fewer than two
      lists.
    """
    rows = candidate_items(store, candidates)
    degrees = store.item_user.degrees()
    degrees = (degrees if rows is None else degrees[rows]).astype(np.float64)
    num_users = int((store.user_item.degrees() > 0).sum())
    bits = -np.log2(np.maximum(degrees, 1) / max(num_users, 1))
    values: dict[str, float] = {}
    for k, listed in zip(counts.ks, counts.counts.astype(np.float64), strict=True):
        entries, num_pairs = listed.sum(), float(counts.num_lists) * (counts.num_lists - 1)
        figures = [
            (listed > 0).mean(),
            _gini(listed),
            (listed * degrees).sum() / entries,
            (listed * bits).sum() / entries,
        ]
        if num_pairs:
            figures.append(1 - (listed * (listed - 1)).sum() / (num_pairs * k))
        values |= {str(MetricKey(name, k)): float(value) for name, value in zip(NAMES, figures, strict=False)}
    return values


def _gini(counts: np.ndarray) -> float:
    """Of float64 [n] counts: half the mean difference between two of them, over their mean."""
    places = np.arange(1, len(counts) + 1)
    return float(((2 * places - len(counts) - 1) * np.sort(counts)).sum() / (len(counts) * counts.sum()))
