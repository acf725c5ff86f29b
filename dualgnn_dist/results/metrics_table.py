"""A run's metrics as a table: a row a list length K, a column a metric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def names_and_ks(keys: Iterable[str]) -> tuple[list[str], list[str]]:
    """Columns and rows for keys such as `recall@20`: names and Ks as they come; `num_users` is neither."""
    parts = [key.partition("@") for key in keys if "@" in key]
    return list(dict.fromkeys(name for name, _, _ in parts)), list(dict.fromkeys(k for _, _, k in parts))


def show(run: str, metrics: Mapping[str, Any], split: str = "test") -> None:
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


def _table(title: str, values: Mapping[str, float]) -> Table:
    names, ks = names_and_ks(values)
    table = Table(title=title)
    for heading in ["K", *names]:
        table.add_column(heading, justify="right")
    for k in ks:
        table.add_row(k, *(f"{values[f'{name}@{k}']:.4f}" for name in names))
    return table
