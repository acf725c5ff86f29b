"""How sure a mean over users is: its 95 % interval from the users' own values.

Users are the unit: the interval speaks of other users like these, not of another seed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.config import Split
from dualgnn_dist.evaluation.metrics import metric_keys
from dualgnn_dist.results.finished_run import FinishedRun, Learned
from dualgnn_dist.results.per_user import MAX_USERS, per_user, some_users

_QUANTILE = 1.959964  # of the normal distribution: the mean of many users has one


def half_widths(
    run: FinishedRun, learned: Learned, store: Store, split: Split = "test", max_users: int = MAX_USERS
) -> dict[str, dict[str, float]]:
    """Half of each metric's 95 % interval, by candidates and metric: 1.96 standard deviations / sqrt(number of users).

    The deviation is that of at most `max_users` users, drawn at random; the number is that of all users who count.

    Raises:
        UserError: the vectors do not give the metrics that the run's metrics.json says.
    """
    users = some_users(len(learned.users), max_users)
    computed = metric_keys(run.config.evaluation.ks)
    by_candidates: dict[str, dict[str, float]] = {}
    candidates: Any  # one of `Candidates`, or `per_user` finds no such metrics
    for candidates, means in run.metrics[split].items():
        by_metric = per_user(run, learned, store, [key for key in means if key in computed], split, candidates, users)
        num_users = int(means.get("num_users", 0))
        by_candidates[candidates] = {key: _half_width(values, num_users) for key, values in by_metric.items()}
    return by_candidates


def _half_width(values: np.ndarray, num_users: int) -> float:
    """Of the mean over `num_users`, from the float64 [n] values of some of them; NaN for fewer than two."""
    if len(values) < 2:
        return math.nan
    return _QUANTILE * float(values.std(ddof=1)) / math.sqrt(max(num_users, len(values)))
