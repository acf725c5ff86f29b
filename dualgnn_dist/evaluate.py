"""`python -m dualgnn_dist.evaluate`: a finished run's checkpoint, represented exactly and ranked again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from dualgnn_dist.base import command_line
from dualgnn_dist.base.command_line import run_program
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.launch import in_process, ray_train
from dualgnn_dist.results.metrics_table import show
from dualgnn_dist.training import checkpoint
from dualgnn_dist.training.checkpoint import best_checkpoint
from dualgnn_dist.training.load import load
from dualgnn_dist.training.run_at_url import fetch
from dualgnn_dist.training.run_folder import CONFIG, METRICS
from dualgnn_dist.training.state import author
from dualgnn_dist.training.worker import evaluate_on_worker


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    made = command_line.parser(
        "evaluate",
        "Rank a run's best checkpoint again, on any number of workers.",
        "python -m dualgnn_dist.evaluate --run runs/quickstart --split valid \\\n    resources.num_workers=1",
    )
    made.add_argument("--run", metavar="DIR", required=True, help="the folder of a finished run")
    made.add_argument("--split", choices=["valid", "test"], default="test", help="what is held out (default: test)")
    command_line.add_overrides(made)
    options = command_line.parse(made, arguments)
    run = fetch(options.run)
    if not (run / METRICS).is_file():
        raise UserError(f"{run} is no finished run: it has no {METRICS}; finish it with `train --resume`")
    config = load(run / CONFIG, options.overrides)
    config = dataclasses.replace(config, run=dataclasses.replace(config.run, output=str(run.parent), name=run.name))
    # Refused here what every worker would refuse: under Ray that takes a minute and ends in tracebacks.
    checkpoint.check_written_by(best_checkpoint(run), author(config, config.data.open()))
    if config.resources.num_workers == 0:
        values = evaluate_on_worker(config, in_process.here(config), options.split)
    else:
        values = ray_train.run_on_workers(config, evaluate_on_worker, options.split)
    written = json.loads((run / METRICS).read_text())
    show(run, {**written, "test_by_candidates": values}, options.split)


if __name__ == "__main__":
    run_program(main)
