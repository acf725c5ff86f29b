"""Finished runs compared: seeds of one setting make a row, and rows are tested against each other user by user.

A row's value for a user is the mean over the row's seeds; the tests are paired over users. So they speak of these seeds
and of users like these: how much another seed would change a row is in its standard deviation, not in p.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dualgnn_dist.base.errors import UserError, nearest
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.evaluate import Candidates, Split, user_metrics
from dualgnn_dist.evaluation.representations import Representations
from dualgnn_dist.results.compare.paired_tests import Measured, measure
from dualgnn_dist.results.finished_run import FinishedRun, Learned, read_learned
from dualgnn_dist.training.config import NUMBERS, decided

# Recomputed means may differ from those in metrics.json by the rounding of another device, not by another model's.
_TOLERANCE = 5e-4


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
        chosen: whether the baseline was chosen for its result.
    """

    rows: tuple[Row, ...]
    metrics: tuple[str, ...]
    baseline: str
    chosen: bool
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
    chosen = _check_comparable(runs, split, candidates, metrics)
    groups = groups_of(runs)
    named = None if baseline is None else _find_baseline(groups, baseline)
    store = runs[0].open_store()
    by_seed = {
        group.label: [per_user(run, read_learned(run, store), store, metrics, split, chosen) for run in group.runs]
        for group in groups
    }
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
        chosen=named is None,
        split=split,
        candidates=chosen,
        convention=runs[0].config.evaluation.ndcg_convention,
        num_users=len(by_seed[best][0][metrics[0]]),
        store=store,
    )


def groups_of(runs: Sequence[FinishedRun]) -> list[Group]:
    """Runs that differ in nothing but the seed, and in what changes no number, are one group.

    Raises:
        UserError: a group has the same seed twice.
    """
    found: dict[str, list[FinishedRun]] = {}
    for run in runs:
        found.setdefault(json.dumps(settings_of(run), sort_keys=True), []).append(run)
    groups = []
    for members in found.values():
        by_seed: dict[int, FinishedRun] = {}
        for run in members:
            other = by_seed.setdefault(run.config.run.seed, run)
            if other is not run:
                raise UserError(
                    f"{other.folder} and {run.folder} are the same run twice: the same settings and "
                    f"seed {run.config.run.seed}; leave one out, or train another seed with run.seed=..."
                )
        name = members[0].config.model.name
        label = _label(members[0], [others[0] for others in found.values() if others[0].config.model.name == name])
        groups.append(Group(label, tuple(by_seed[seed] for seed in sorted(by_seed))))
    return groups


def settings_of(run: FinishedRun) -> dict[str, Any]:
    """What decides a run's numbers but for its seed: `section.key` -> value."""
    return {key: value for key, value in decided(run.config, *NUMBERS, "length").items() if key != "run.seed"}


def per_user(
    run: FinishedRun, learned: Learned, store: Store, metrics: Sequence[str], split: Split, candidates: Candidates
) -> dict[str, np.ndarray]:
    """Each metric of every user with a held-out candidate, float64 [n], in the order of the users.

    Raises:
        UserError: their mean is not what the run's metrics.json says.
    """
    rows = torch.arange(len(learned.users))
    given = Representations(rows, torch.from_numpy(learned.users), torch.from_numpy(learned.items))
    ks = tuple(sorted({int(metric.partition("@")[2]) for metric in metrics}))
    convention = run.config.evaluation.ndcg_convention
    world = World(num_threads=os.cpu_count() or 1)
    blocks = [values for _, values in user_metrics(given, store, split, ks, convention, world, candidates)]
    found = {metric: np.concatenate([np.empty(0), *(block[metric] for block in blocks)]) for metric in metrics}
    for metric, values in found.items():
        if len(values) < 2:
            raise UserError(f"{len(values)} users have held-out items in {store.path}: too few to compare runs on")
        said = run.metrics[split][candidates][metric]
        if abs(values.mean() - said) > _TOLERANCE:
            raise UserError(
                f"the representations of {run.folder} give {metric} {values.mean():.4f}, its metrics.json says "
                f"{said:.4f}: they are not of one run; finish it again with `train --resume`"
            )
    return found


def _check_comparable(
    runs: Sequence[FinishedRun], split: Split, candidates: Candidates | None, metrics: Sequence[str]
) -> Candidates:
    """What the runs are compared on, once it is sure that it is the same for all of them."""
    first = runs[0]
    chosen: Any = candidates or next(iter(first.metrics[split]))
    for run in runs:
        known = run.metrics[split]
        own: str = candidates or next(iter(known))
        said, said_first = run.config.evaluation.ndcg_convention, first.config.evaluation.ndcg_convention
        if run.fingerprint != first.fingerprint:
            raise UserError(
                f"{first.folder} and {run.folder} were trained on different stores (fingerprints "
                f"{first.fingerprint[:8]} and {run.fingerprint[:8]}); compare runs on one store"
            )
        if said != said_first:
            raise UserError(
                f"{first.folder} and {run.folder} take NDCG by different conventions ({said_first} and {said}); "
                "train them with the same evaluation.ndcg_convention"
            )
        if own not in known:
            raise UserError(f"{run.folder} was not evaluated on {own!r} items{nearest(own, known)}")
        if own != chosen:
            both = [name for name in known if name in first.metrics[split]]
            cure = f"compare them on the same items: --candidates {both[0]}" if both else "they have none in common"
            raise UserError(
                f"{first.folder} is judged by its ranking of {chosen} items, {run.folder} by that of {own} items; "
                f"{cure}"
            )
        _check_computed(run, split, own, metrics)
    return chosen


def _check_computed(run: FinishedRun, split: Split, candidates: str, metrics: Sequence[str]) -> None:
    computed = [name for name in run.metrics[split][candidates] if "@" in name]  # the others are no metrics: num_users
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
