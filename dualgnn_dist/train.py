"""`python -m dualgnn_dist.train`: the main job, from a config to test metrics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from dualgnn_dist.base import command_line, home
from dualgnn_dist.base.config import run_program
from dualgnn_dist.base.screen import say
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.launch import in_process, ray_train
from dualgnn_dist.prepare import ensure_store
from dualgnn_dist.sampling.order import num_steps
from dualgnn_dist.training import checkpoint, trackers
from dualgnn_dist.training.config import RunConfig, load
from dualgnn_dist.training.run_at_url import Mirror
from dualgnn_dist.training.run_checkpoints import latest_checkpoint
from dualgnn_dist.training.run_folder import METRICS, RunFolder
from dualgnn_dist.training.state import author, make_model, num_parameters


def train(config: RunConfig, resume: bool = False) -> Path:
    """Makes the store if it is not there, runs the job, and returns the run's folder.

    Raises:
        UserError: the run exists already, it is to be resumed with other settings, or what its parts refuse.
    """
    config = config.with_absolute_paths()
    if notice := home.notice():
        say(notice)
    folder, mirror = config.run.folder, Mirror(config.run)
    mirror.check(resume)
    trackers.check(config.run.trackers)
    RunFolder.check(folder, config.to_yaml(), resume)
    store = ensure_store(config)
    plan = describe(config, store)  # makes the model: what does not fit the data is refused here
    if resume and (newest := latest_checkpoint(folder)):
        checkpoint.check_written_by(newest, author(config, store))
    RunFolder.create(folder, config.to_yaml(), resume)
    mirror.start()
    say(f"{plan}\nrun folder: {folder}")
    launch = in_process.launch if config.resources.num_workers == 0 else ray_train.launch
    try:
        launch(config, resume)
    except BaseException:
        RunFolder.remove_unless_started(folder)
        mirror.withdraw_unless_started()
        raise
    mirror.pull_results()
    return folder


def describe(config: RunConfig, store: Store) -> str:
    """What will run, on what, in two lines.

    Raises:
        UserError: the model does not fit the store.
    """
    sizes, batch_size, workers = store.manifest, config.sampler.batch_size, config.resources.num_workers
    interactions = sizes.num_interactions["train"]
    shown = "this process" if workers == 0 else "1 worker" if workers == 1 else f"{workers} workers"
    if not isinstance(workers, int):
        shown = f"{workers[0]} to {workers[1]} workers"
    return (
        f"{config.model.name}, {num_parameters(make_model(config, store), store):,} parameters, on {shown}: "
        f"{config.train.epochs} epochs of {num_steps(interactions, batch_size):,} steps of {batch_size:,} interactions"
        f"\nstore {store.path}: {sizes.num_users:,} users, {sizes.num_items:,} items, "
        f"{interactions:,} training interactions"
    )


def show(folder: Path, metrics: dict[str, Any], split: str = "test") -> None:
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
    console.print(f"run folder: {folder}", soft_wrap=True, highlight=False)


def _table(title: str, test: dict[str, float]) -> Table:
    names = list(dict.fromkeys(name.partition("@")[0] for name in test if "@" in name))
    ks = list(dict.fromkeys(name.partition("@")[2] for name in test if "@" in name))
    table = Table(title=title)
    for heading in ["K", *names]:
        table.add_column(heading, justify="right")
    for k in ks:
        table.add_row(k, *(f"{test[f'{name}@{k}']:.4f}" for name in names))
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    made = command_line.parser(
        "train",
        "Train a model and rank the test items; makes the store first if there is none.",
        "python -m dualgnn_dist.train --config configs/tiktok.yaml \\\n"
        "    model.name=lightgcn optimizer.learning_rate=0.001 run.name=tiktok_lightgcn",
    )
    command_line.add_config(made)
    made.add_argument(
        "--resume", action="store_true", help="go on with the run of this name from its newest checkpoint"
    )
    made.add_argument(
        "--resume-or-start", action="store_true", help="the same, or start where there is no such run: for what retries"
    )
    options = command_line.parse(made, arguments)
    config = load(options.config, options.overrides)
    resume = options.resume or (options.resume_or_start and Mirror(config.with_absolute_paths().run).is_started())
    folder = train(config, resume)
    show(folder, json.loads((folder / METRICS).read_text()))


if __name__ == "__main__":
    run_program(main)
