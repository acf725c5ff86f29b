"""How sure a mean over users is: its 95 % interval from the users' own values.

Users are the unit: the interval speaks of other users like these, not of another seed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.evaluate import Split, user_metrics
from dualgnn_dist.evaluation.representations import Representations
from dualgnn_dist.results.finished_run import FinishedRun, Learned

MAX_USERS = 20_000  # ranked again: enough for a deviation, whatever the store's size
_QUANTILE = 1.959964  # of the normal distribution: the mean of many users has one
_TOLERANCE = 5e-4  # another device rounds otherwise; another model differs by more


def half_widths(
    run: FinishedRun, learned: Learned, store: Store, split: Split = "test", max_users: int = MAX_USERS
) -> dict[str, dict[str, float]]:
    """Half of each metric's 95 % interval, by candidates and metric: 1.96 standard deviations / sqrt(number of users).

    The deviation is that of at most `max_users` users, drawn at random; the number is that of all users who count.

    Raises:
        UserError: the vectors do not give the metrics that the run's metrics.json says.
    """
    rows = np.arange(len(learned.users))
    if len(rows) > max_users:
        rows = np.sort(np.random.default_rng(0).choice(rows, max_users, replace=False))
    found = {}
    for candidates, said in run.metrics[split].items():
        by_metric = _per_user(run, learned, rows, store, split, candidates)
        found[candidates] = {name: _half_width(run, said, name, by_metric) for name in said if name in by_metric}
    return found


def _per_user(
    run: FinishedRun, learned: Learned, rows: np.ndarray, store: Store, split: Split, candidates: Any
) -> dict[str, np.ndarray]:
    """Metric -> float64 [n], of those among the users at `rows` that have held-out candidates."""
    users, items = torch.from_numpy(learned.users[rows]), torch.from_numpy(learned.items)
    given = Representations(torch.from_numpy(rows), users, items)
    settings, world = run.config.evaluation, World(num_threads=os.cpu_count() or 1)
    found = user_metrics(given, store, split, settings.ks, settings.ndcg_convention, world, candidates)
    blocks = [values for _, values in found]
    return {name: np.concatenate([block[name] for block in blocks]) for name in (blocks[0] if blocks else {})}


def _half_width(run: FinishedRun, said: Mapping[str, float], name: str, by_metric: Mapping[str, np.ndarray]) -> float:
    values, num_users = by_metric[name], max(int(said.get("num_users", 0)), len(by_metric[name]))
    if len(values) < 2:
        return float("nan")
    deviation = float(values.std(ddof=1))
    of_a_sample = 6 * deviation / np.sqrt(len(values)) * np.sqrt(1 - len(values) / num_users)
    if abs(float(values.mean()) - said[name]) > _TOLERANCE + of_a_sample:
        raise UserError(
            f"the representations of {run.folder} give {name} {values.mean():.4f}, its metrics.json says "
            f"{said[name]:.4f}: they are not of one run; finish it again with `train --resume`"
        )
    return _QUANTILE * deviation / float(np.sqrt(num_users))
