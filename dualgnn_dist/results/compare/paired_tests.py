"""Two rows of seeds on the same users: what a row measures, and paired tests of the difference over users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Paired:
    """A difference over users, its 95 % interval (Student's t), and the p of two tests of no difference."""

    difference: float
    low: float
    high: float
    p_t: float
    p_wilcoxon: float


@dataclass(frozen=True)
class Measured:
    """One metric of one row.

    Args:
        seeds: the mean over users for each seed.
        deviation: over seeds (n - 1); None for one seed.
        against: the baseline, p as they come; None for the baseline itself.
        p_t_holm, p_wilcoxon_holm: p corrected over the rows.
    """

    seeds: tuple[float, ...]
    mean: float
    deviation: float | None
    against: Paired | None = None
    p_t_holm: float | None = None
    p_wilcoxon_holm: float | None = None


def measure(by_seed: Mapping[str, Sequence[np.ndarray]], baseline: str) -> dict[str, Measured]:
    """One metric of every row.

    Args:
        by_seed: label -> for each seed float64 [n], the same users in the same order.
    """
    of_user = {label: np.mean(seeds, axis=0) for label, seeds in by_seed.items()}
    others = [label for label in by_seed if label != baseline]
    tests = {label: paired(of_user[label] - of_user[baseline]) for label in others}
    p_t = dict(zip(others, holm([tests[label].p_t for label in others]), strict=True))
    p_wilcoxon = dict(zip(others, holm([tests[label].p_wilcoxon for label in others]), strict=True))
    measured = {}
    for label, seeds in by_seed.items():
        means = tuple(float(seed.mean()) for seed in seeds)
        deviation = float(np.std(means, ddof=1)) if len(means) > 1 else None
        against = tests.get(label), p_t.get(label), p_wilcoxon.get(label)
        measured[label] = Measured(means, float(np.mean(means)), deviation, *against)
    return measured


def paired(difference: np.ndarray) -> Paired:
    """Tests whether the users' differences, float64 [n], lie around zero."""
    difference = np.round(difference, 12)  # rounding in means over seeds is no difference, Wilcoxon would rank it
    if not difference.any():
        return Paired(0.0, 0.0, 0.0, 1.0, 1.0)
    mean, signed_rank = float(difference.mean()), float(stats.wilcoxon(difference).pvalue)
    if np.ptp(difference) == 0:  # the same for every user: t is infinite
        return Paired(mean, mean, mean, 0.0, signed_rank)
    student = stats.ttest_1samp(difference, 0.0)
    low, high = student.confidence_interval(0.95)
    return Paired(mean, float(low), float(high), float(student.pvalue), signed_rank)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction: the k-th smallest of m times m - k + 1, never below a smaller one's, at most 1."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(np.asarray(p, dtype=float)[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected.tolist()
