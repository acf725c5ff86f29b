"""A sweep's best trials and its winner on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dualgnn_dist.base.screen import TextTable, console
from dualgnn_dist.evaluation.metrics import headline
from dualgnn_dist.results.finished_sweep import SweepRecord
from dualgnn_dist.training.sweep.folder import BEST, Trial

_SHOWN = 10  # trials of the table


def show(folder: Path) -> None:
    """Prints the best trials of a sweep's folder, and what the best one came to on the test items."""
    sweep, screen = SweepRecord.read(folder), console()
    trials = sorted(sweep.trials, key=lambda trial: -1.0 if trial.value is None else trial.value, reverse=True)
    shortened = "" if len(trials) <= _SHOWN else f", the best {_SHOWN}"
    title = f"{len(trials)} trials by validation {sweep.metric}{shortened}"
    headings = ("trial", sweep.metric, "epochs", "s", "ended", "settings")
    TextTable(headings, {title: [_cells(trial) for trial in trials[:_SHOWN]]}).show(screen)
    if sweep.winner is not None:
        test = sweep.winner.test
        metrics = "  ".join(f"{name} {test[name]:.4f}" for name in headline(sweep.metric) if name in test)
        screen.print(f"test metrics of trial {sweep.winner.number}, measured once: {metrics}")
    screen.print(f"as a run of its own: python -m dualgnn_dist.train --config {folder / BEST}", soft_wrap=True)


def _cells(trial: Trial) -> tuple[str, ...]:
    return (
        str(trial.number),
        "" if trial.value is None else f"{trial.value:.4f}",
        str(trial.epochs),
        f"{trial.seconds:,.0f}",
        trial.state if trial.error is None else f"failed: {trial.error[:60]}",
        "  ".join(f"{key.rpartition('.')[2]} {_short(value)}" for key, value in trial.params.items()),
    )


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
