"""`python -m dualgnn_dist.tune`: a sweep over a search space, from a config to the best run and its test metrics."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from dualgnn_dist.base import command_line
from dualgnn_dist.base.config import UserError, run_program
from dualgnn_dist.base.screen import say
from dualgnn_dist.base.text_table import TextTable
from dualgnn_dist.launch.ray_train import connected
from dualgnn_dist.launch.ray_tune.figures import draw
from dualgnn_dist.launch.ray_tune.trials import open_study, run_sweep, study_url
from dualgnn_dist.prepare import ensure_store
from dualgnn_dist.train import train
from dualgnn_dist.training.run_folder import METRICS
from dualgnn_dist.training.state import make_model
from dualgnn_dist.training.sweep.folder import BEST, WINNER, SweepFolder, Trial, best_of
from dualgnn_dist.training.sweep.space import Sweep, load_sweep

_SHOWN = 10  # trials of the table


def tune(sweep: Sweep, resume: bool = False) -> Path:
    """Runs the trials, then measures the test items once, with the best trial; returns the sweep's folder.

    Raises:
        UserError: the sweep exists already, no trial came to anything, or what its parts refuse.
    """
    config, folder = sweep.base.with_absolute_paths(), SweepFolder(sweep.folder)
    store = ensure_store(config)
    make_model(config, store)  # what does not fit the data is refused here
    ended = folder.start(sweep, resume)
    say(f"sweep folder: {folder.path}\nstudy: optuna-dashboard {study_url(sweep, folder)}")
    try:
        search = open_study(sweep, folder, ended)
        with connected(shows_workers=False):
            return _run(sweep, folder, ended, search)
    except UserError:
        if not resume and not folder.trials():
            folder.remove()  # so that its name is free
        raise


def _run(sweep: Sweep, folder: SweepFolder, ended: Sequence[Trial], search: Any) -> Path:
    if len(ended) < sweep.config.trials:
        run_sweep(sweep, folder, ended, search)
    trials = folder.trials()
    best = best_of(trials)
    if best is None:
        reasons = sorted({trial.error or "no validation was reached" for trial in trials})
        raise UserError(f"none of the {len(trials)} trials came to a value: {'; '.join(reasons)}")
    folder.write(BEST, _best_run(sweep, best))
    draw(sweep, folder, trials)
    folder.write(WINNER, json.dumps(_measure(sweep, folder, best), indent=1) + "\n")
    return folder.path


def _best_run(sweep: Sweep, best: Trial) -> str:
    """The best trial as a complete run of its own, which `train` takes."""
    found, base = sweep.run(best.params), sweep.base
    run = dataclasses.replace(found.run, name=f"{sweep.folder.name}_best", output=base.run.output)
    return dataclasses.replace(found, run=run, data=base.data).to_yaml()


def _measure(sweep: Sweep, folder: SweepFolder, best: Trial) -> dict[str, Any]:
    """Goes on from the best trial's last checkpoints, which leaves nothing but the test items to be ranked."""
    say(f"trial {best.number} is the best: ranking the test items")
    runs = [train(sweep.run(best.params, seed), resume=True) for seed in range(sweep.config.seeds)]
    metrics = [json.loads((run / METRICS).read_text()) for run in runs]
    return {
        "number": best.number,
        "params": best.params,
        "validation": _mean([found["validation"] for found in metrics]),
        "test": _mean([found["test"] for found in metrics]),
        "run_folder": str(runs[0].relative_to(folder.path)),
        "test_by_seed": [found["test"] for found in metrics],
    }


def _mean(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: statistics.mean(found[name] for found in values) for name in values[0]}


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
