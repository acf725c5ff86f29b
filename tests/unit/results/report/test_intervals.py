"""Confidence intervals over users, held against a bootstrap."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.metrics import metric_keys
from dualgnn_dist.results.finished_run import FinishedRun, Learned
from dualgnn_dist.results.per_user import per_user
from dualgnn_dist.results.report import intervals


def test_intervals_are_those_of_a_bootstrap_over_users(
    make_demo_run: Callable[..., Path], demo_store: Store, learned: Learned
) -> None:
    run = FinishedRun.read(make_demo_run())
    half = intervals.half_widths(run, learned, demo_store)["all"]
    assert set(half) == set(metric_keys((5, 10)))
    values = per_user(run, learned, demo_store, ["ndcg@10"], "test", "all")["ndcg@10"]
    assert values.mean() == pytest.approx(run.metrics["test"]["all"]["ndcg@10"])
    rng = np.random.default_rng(0)
    means = [rng.choice(values, len(values)).mean() for _ in range(4000)]
    low, high = np.percentile(means, (2.5, 97.5))
    assert half["ndcg@10"] == pytest.approx((high - low) / 2, rel=0.08)


def test_a_sample_of_users_gives_nearly_the_same_interval(
    make_demo_run: Callable[..., Path], demo_store: Store, learned: Learned
) -> None:
    run = FinishedRun.read(make_demo_run())
    whole = intervals.half_widths(run, learned, demo_store)["all"]["hitrate@10"]
    sampled = intervals.half_widths(run, learned, demo_store, max_users=40)["all"]["hitrate@10"]
    assert sampled == pytest.approx(whole, rel=0.25) and sampled != whole
    learned.users[:] = -learned.users
    with pytest.raises(UserError, match="not of one run"):
        intervals.half_widths(run, learned, demo_store)
