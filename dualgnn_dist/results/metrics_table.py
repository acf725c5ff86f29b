"""A run's metrics on the screen."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def show(run: str, metrics: dict[str, Any], split: str = "test") -> None:
    """Prints the metrics of a split as tables: a row a K, a table for each kind of candidates."""
    console = Console()
    for candidates, values in metrics["test_by_candidates"].items():
        of_what = "" if candidates == "all" else f", {candidates} items only"
        title = (
            f"{metrics['model']}: {split} metrics of {values['num_users']:,.0f} users, epoch {metrics['best_epoch']}"
        )
        console.print(_table(f"{title}{of_what}", values))
    if [*metrics["test_by_candidates"]] == ["warm"]:
        console.print(f"{metrics['model']} knows items by their interactions alone: it cannot rank cold items.")
    console.print(f"run folder: {run}", soft_wrap=True, highlight=False)


def _table(title: str, test: dict[str, float]) -> Table:
    names = list(dict.fromkeys(name.partition("@")[0] for name in test if "@" in name))
    ks = list(dict.fromkeys(name.partition("@")[2] for name in test if "@" in name))
    table = Table(title=title)
    for heading in ["K", *names]:
        table.add_column(heading, justify="right")
    for k in ks:
        table.add_row(k, *(f"{test[f'{name}@{k}']:.4f}" for name in names))
    return table
