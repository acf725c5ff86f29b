"""A run's metrics as a table: a row a list length K, a column a metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from dualgnn_dist.base.screen import console
from dualgnn_dist.evaluation.metrics import by_k

_ROUNDING, _SHOWN = 1e-6, 3


def show(run: str, metrics: Mapping[str, Any], split: str = "test") -> None:
    """Prints the metrics of a split as tables: a row a K, a table for each kind of candidates."""
    screen = console()
    for candidates, values in metrics["test_by_candidates"].items():
        of_what = "" if candidates == "all" else f", {candidates} items only"
        title = (
            f"{metrics['model']}: {split} metrics of {values['num_users']:,.0f} users, epoch {metrics['best_epoch']}"
        )
        screen.print(_table(f"{title}{of_what}", values))
    if [*metrics["test_by_candidates"]] == ["warm"]:
        screen.print(f"{metrics['model']} knows items by their interactions alone: it cannot rank cold items.")
    for line in beside_baselines(metrics):
        screen.print(line)
    screen.print(f"run folder: {run}", soft_wrap=True)


def beside_baselines(metrics: Mapping[str, Any]) -> list[str]:
    """A line that tells what the metric by which the run was chosen is without training; none where nobody measured."""
    key, model = metrics.get("metric"), metrics["model"]
    test = next(iter(metrics["test_by_candidates"].values()))
    others = [f"{name} {values[key]:.4f}" for name, values in metrics.get("baselines", {}).items() if key in values]
    return [f"test {key}: {', '.join(others)}, {model} {test[key]:.4f}"] if others and key in test else []


def differences(
    by_candidates: Mapping[str, Mapping[str, float]], written: Mapping[str, Mapping[str, float]], split: str
) -> list[str]:
    """A line for each kind of candidates whose metrics are not those that training wrote, rounding apart."""
    lines = []
    for candidates, values in by_candidates.items():
        before = written.get(candidates, {})
        differing = [name for name in values if name in before and not abs(values[name] - before[name]) <= _ROUNDING]
        if differing:
            shown = ", ".join(f"{name} {values[name]:.6f} and not {before[name]:.6f}" for name in differing[:_SHOWN])
            more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
            of_what = "" if candidates == "all" else f" of {candidates} items"
            lines.append(f"the {split} metrics{of_what} differ from those in metrics.json: {shown}{more}")
    return lines


def _table(title: str, values: Mapping[str, float]) -> Table:
    rows = by_k(values)
    table = Table(title=title)
    for heading in ["K", *next(iter(rows.values()), {})]:
        table.add_column(heading, justify="right")
    for k, values_at_k in rows.items():
        table.add_row(str(k), *(f"{value:.4f}" for value in values_at_k.values()))
    return table
