"""`python -m dualgnn_dist.tune`: a sweep over a search space, from a config to the best run and its test metrics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from dualgnn_dist.base import command_line
from dualgnn_dist.base.command_line import run_program
from dualgnn_dist.base.screen import TextTable
from dualgnn_dist.launch.ray_tune.sweep import tune
from dualgnn_dist.training.sweep.folder import BEST, WINNER, SweepFolder
from dualgnn_dist.training.sweep.space import Sweep, load_sweep

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


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    made = command_line.parser(
        "tune",
        "Search hyperparameters: trials on a Ray cluster, chosen by Optuna,\nthe best one measured on the test items.",
        "python -m dualgnn_dist.tune --config configs/sweep_tiktok.yaml \\\n    model.name=lightgcn sweep.trials=30",
    )
    command_line.add_config(made)
    made.add_argument("--resume", action="store_true", help="go on with the sweep of this name where it was stopped")
    options = command_line.parse(made, arguments)
    sweep = load_sweep(options.config, options.overrides)
    show(sweep, tune(sweep, options.resume))


if __name__ == "__main__":
    run_program(main)
