"""Every user's own metrics, from a run's vectors: what is tested between runs, and how sure a mean is."""

from __future__ import annotations

import math
import os
from collections.abc import Collection

import numpy as np
import torch

from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.config import Candidates, Protocol, Split
from dualgnn_dist.evaluation.evaluate import rank_users
from dualgnn_dist.evaluation.metrics import MetricKey, metric_keys
from dualgnn_dist.evaluation.representations import Representations
from dualgnn_dist.results.finished_run import FinishedRun, Learned, NotOfThisRun

# Recomputed means may differ from those in metrics.json by the rounding of another device, not by another model's.
_TOLERANCE = 5e-4
MAX_USERS = 20_000  # ranked again: enough for a deviation, whatever the store's size


def per_user(
    run: FinishedRun,
    learned: Learned,
    store: Store,
    metrics: Collection[str],
    split: Split,
    candidates: Candidates,
    users: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Each metric of every user with a held-out candidate, float64 [n], in the order of the users.

    Args:
        metrics: such as `recall@20`, of those that the run's metrics.json has.
        users: int64, ascending: only these are ranked, drawn at random; None ranks all.

    Raises:
        NotOfThisRun: their mean is not what the run's metrics.json says; of drawn users, not within six standard
            errors.
    """
    if not metrics:
        return {}
    rows = np.arange(len(learned.users)) if users is None else users
    vectors = learned.users if users is None else learned.users[users]
    given = Representations(*map(torch.from_numpy, (rows, vectors, learned.items)))
    ks = tuple(sorted({MetricKey.parse(metric).k for metric in metrics}))
    protocol = Protocol(split, ks, run.config.evaluation.ndcg_convention, candidates)
    blocks = [values for _, values in rank_users(given, store, protocol, World(num_threads=os.cpu_count() or 1))]
    by_metric = {metric: np.concatenate([np.empty(0), *(block[metric] for block in blocks)]) for metric in metrics}
    means = run.metrics[split][candidates]
    for metric, values in by_metric.items():
        slack = _TOLERANCE + (0.0 if users is None else _six_errors(values, means.get("num_users", 0)))
        if len(values) > 1 and abs(float(values.mean()) - means[metric]) > slack:
            raise NotOfThisRun(
                f"the representations of {run.folder} give {metric} {values.mean():.4f}, its metrics.json says "
                f"{means[metric]:.4f}: they are not of one run; finish it again with `train --resume`"
            )
    return by_metric


def check_belong(run: FinishedRun, learned: Learned, store: Store) -> None:
    """Refuses vectors of another run. Where no checksums say whose they are, some users are ranked with them.

    Raises:
        NotOfThisRun: they do not give the metrics that the run's metrics.json says.
    """
    computed, means = metric_keys(run.config.evaluation.ks), next(iter(run.metrics["test"].values()))
    metrics = [metric for metric in computed if metric in means]
    if not learned.is_checked:
        per_user(run, learned, store, metrics, "test", next(iter(run.metrics["test"])), some_users(len(learned.users)))  # type: ignore[arg-type]


def some_users(num_users: int, max_users: int = MAX_USERS) -> np.ndarray | None:
    """int64 [max_users] users drawn at random, ascending; None where there are not more: all of them."""
    if num_users <= max_users:
        return None
    return np.sort(np.random.default_rng(0).choice(num_users, max_users, replace=False))


def _six_errors(values: np.ndarray, num_users: float) -> float:
    """Six standard errors of the mean of float64 [n] values that were drawn from those of so many users."""
    if len(values) < 2:
        return 0.0
    undrawn = 1 - len(values) / max(num_users, len(values))
    return 6 * float(values.std(ddof=1)) * math.sqrt(undrawn / len(values))
