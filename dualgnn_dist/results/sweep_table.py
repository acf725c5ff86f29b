"""A sweep on the screen: its best trials, and what the winner came to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from dualgnn_dist.base.screen import TextTable
from dualgnn_dist.training.sweep.folder import BEST, WINNER, SweepFolder
from dualgnn_dist.training.sweep.space import Sweep

_SHOWN = 10  # trials of the table


def show(sweep: Sweep, path: Path) -> None:
    """Prints the best trials and what the best one came to."""
    folder, metric, console = SweepFolder(path), sweep.base.train.metric, Console()
    trials = sorted(folder.trials(), key=lambda trial: -1.0 if trial.value is None else trial.value, reverse=True)
    rows = [
        (
            str(trial.number),
            "" if trial.value is None else f"{trial.value:.4f}",
            str(trial.epochs),
            f"{trial.seconds:,.0f}",
            trial.state if trial.error is None else f"failed: {trial.error[:60]}",
            "  ".join(f"{key.rpartition('.')[2]} {_short(trial.params[key])}" for key in sweep.space),
        )
        for trial in trials[:_SHOWN]
    ]
    shortened = "" if len(trials) <= _SHOWN else f", the best {_SHOWN}"
    headings = ("trial", metric, "epochs", "s", "ended", "settings")
    TextTable(headings, {f"{len(trials)} trials by validation {metric}{shortened}": rows}).show(console)
    winner = json.loads((path / WINNER).read_text())
    k = metric.rpartition("@")[2]
    shown = "  ".join(
        f"{name} {winner['test'][name]:.4f}" for name in dict.fromkeys([metric, f"recall@{k}", f"ndcg@{k}"])
    )
    console.print(f"test metrics of trial {winner['number']}, measured once: {shown}", highlight=False)
    console.print(
        f"as a run of its own: python -m dualgnn_dist.train --config {path / BEST}", soft_wrap=True, highlight=False
    )


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
