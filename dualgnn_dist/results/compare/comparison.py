"""Finished runs compared: seeds of one setting make a row, and rows are tested against each other user by user.

A row's value for a user is the mean over the row's seeds; the tests are paired over users. So they speak of these seeds
and of users like these: how much another seed would change a row is in its standard deviation, not in p.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dualgnn_dist.base.errors import UserError, nearest
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.config import Candidates, Split
from dualgnn_dist.evaluation.metrics import is_metric
from dualgnn_dist.results.compare.paired_tests import Measured, measure
from dualgnn_dist.results.finished_run import FinishedRun
from dualgnn_dist.results.per_user import per_user
from dualgnn_dist.training.config import NUMBERS, decided


@dataclass(frozen=True)
class Group:
    """The runs of one setting, by seed, and what tells it from the other groups of its model."""

    label: str
    runs: tuple[FinishedRun, ...]


@dataclass(frozen=True)
class Row:
    """A group and its metrics by name."""

    group: Group
    metrics: Mapping[str, Measured]


@dataclass(frozen=True)
class Comparison:
    """The rows, best first by the first metric.

    Args:
        baseline: the label of the row that the others are tested against.
        baseline_is_best: whether it was taken for its result, because none was named.
    """

    rows: tuple[Row, ...]
    metrics: tuple[str, ...]
    baseline: str
    baseline_is_best: bool
    split: Split
    candidates: Candidates
    convention: str
    num_users: int
    store: Store


def compare(
    runs: Sequence[FinishedRun],
    metrics: Sequence[str],
    split: Split = "test",
    candidates: Candidates | None = None,
    baseline: str | None = None,
) -> Comparison:
    """Compares runs on the users of a split.

    Args:
        metrics: such as `recall@20`; the first orders the rows.
        candidates: None takes those that the runs are judged by.
        baseline: a row's label or the name of one of its runs; None takes the row that is best by the first metric.

    Raises:
        UserError: the runs cannot be compared, or were not measured as asked.
    """
    ranked = _check_comparable(runs, split, candidates, metrics)
    groups = groups_of(runs)
    named = None if baseline is None else _find_baseline(groups, baseline)
    store = runs[0].open_store()
    by_seed = {group.label: [_values(run, store, metrics, split, ranked) for run in group.runs] for group in groups}
    best = max(by_seed, key=lambda label: np.mean([seed[metrics[0]].mean() for seed in by_seed[label]]))
    measured = {}
    for metric in metrics:
        of_rows = {label: [seed[metric] for seed in seeds] for label, seeds in by_seed.items()}
        measured[metric] = measure(of_rows, named or best)
    rows = [Row(group, {metric: measured[metric][group.label] for metric in metrics}) for group in groups]
    return Comparison(
        rows=tuple(sorted(rows, key=lambda row: -row.metrics[metrics[0]].mean)),
        metrics=tuple(metrics),
        baseline=named or best,
        baseline_is_best=named is None,
        split=split,
        candidates=ranked,
        convention=runs[0].config.evaluation.ndcg_convention,
        num_users=len(by_seed[best][0][metrics[0]]),
        store=store,
    )


def groups_of(runs: Sequence[FinishedRun]) -> list[Group]:
    """Runs that differ in nothing but the seed, and in what changes no number, are one group.

    Raises:
        UserError: a group has the same seed twice.
    """
    by_settings: dict[str, list[FinishedRun]] = {}
    for run in runs:
        by_settings.setdefault(json.dumps(settings_of(run), sort_keys=True), []).append(run)
    groups = []
    for members in by_settings.values():
        by_seed: dict[int, FinishedRun] = {}
        for run in members:
            other = by_seed.setdefault(run.config.run.seed, run)
            if other is not run:
                raise UserError(
                    f"{other.folder} and {run.folder} are the same run twice: the same settings and "
                    f"seed {run.config.run.seed}; leave one out, or train another seed with run.seed=..."
                )
        name = members[0].config.model.name
        firsts = [others[0] for others in by_settings.values()]
        label = _label(members[0], [run for run in firsts if run.config.model.name == name])
        groups.append(Group(label, tuple(by_seed[seed] for seed in sorted(by_seed))))
    return groups


def settings_of(run: FinishedRun) -> dict[str, Any]:
    """What decides a run's numbers but for its seed: `section.key` -> value."""
    return {key: value for key, value in decided(run.config, *NUMBERS, "length").items() if key != "run.seed"}


def _values(
    run: FinishedRun, store: Store, metrics: Sequence[str], split: Split, candidates: Candidates
) -> dict[str, np.ndarray]:
    by_metric = per_user(run, run.learned(store), store, metrics, split, candidates)
    num_users = len(by_metric[metrics[0]])
    if num_users < 2:
        raise UserError(f"{num_users} users have held-out items in {store.path}: too few to compare runs on")
    return by_metric


def _check_comparable(
    runs: Sequence[FinishedRun], split: Split, candidates: Candidates | None, metrics: Sequence[str]
) -> Candidates:
    """What the runs are compared on, once it is sure that it is the same for all of them."""
    first = runs[0]
    ranked: Any = candidates or next(iter(first.metrics[split]))
    convention = first.config.evaluation.ndcg_convention
    for run in runs:
        by_candidates = run.metrics[split]
        own: str = candidates or next(iter(by_candidates))
        own_convention = run.config.evaluation.ndcg_convention
        if run.fingerprint != first.fingerprint:
            raise UserError(
                f"{first.folder} and {run.folder} were trained on different stores (fingerprints "
                f"{first.fingerprint[:8]} and {run.fingerprint[:8]}); compare runs on one store"
            )
        if own_convention != convention:
            raise UserError(
                f"{first.folder} and {run.folder} take NDCG by different conventions ({convention} and "
                f"{own_convention}); train them with the same evaluation.ndcg_convention"
            )
        if own not in by_candidates:
            raise UserError(f"{run.folder} was not evaluated on {own!r} items{nearest(own, by_candidates)}")
        if own != ranked:
            both = [name for name in by_candidates if name in first.metrics[split]]
            cure = f"compare them on the same items: --candidates {both[0]}" if both else "they have none in common"
            raise UserError(
                f"{first.folder} is judged by its ranking of {ranked} items, {run.folder} by that of {own} items; "
                f"{cure}"
            )
        _check_computed(run, split, own, metrics)
    return ranked


def _check_computed(run: FinishedRun, split: Split, candidates: str, metrics: Sequence[str]) -> None:
    computed = [name for name in run.metrics[split][candidates] if is_metric(name)]
    for metric in metrics:
        if metric not in computed:
            raise UserError(f"{run.folder} has no {split} metric {metric!r}{nearest(metric, computed)}")


def _find_baseline(groups: Sequence[Group], name: str) -> str:
    for group in groups:
        if name == group.label or name in {run.folder.name for run in group.runs}:
            return group.label
    raise UserError(
        f"--baseline {name!r} is no row of the comparison{nearest(name, [group.label for group in groups])}"
    )


def _label(run: FinishedRun, same_model: Sequence[FinishedRun]) -> str:
    every = [settings_of(other) for other in same_model]
    own = {
        key: value
        for key, value in settings_of(run).items()
        if any(key not in other or other[key] != value for other in every)
    }
    return " ".join([run.config.model.name, *(f"{key}={_as_typed(value)}" for key, value in own.items())])


def _as_typed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
