"""`python -m dualgnn_dist.evaluate`: a finished run's checkpoint, represented exactly and ranked again."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence

from dualgnn_dist.base import command_line
from dualgnn_dist.base.errors import UserError


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = command_line.parser(
        "evaluate",
        "Rank a run's best checkpoint again, on any number of workers.",
        "python -m dualgnn_dist.evaluate --run runs/quickstart --split valid \\\n    resources.num_workers=1",
    )
    parser.add_argument("--run", metavar="DIR", required=True, help="the folder or URL of a finished run")
    parser.add_argument("--split", choices=["valid", "test"], default="test", help="what is held out (default: test)")
    command_line.add_overrides(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = command_line.parse(parser(), arguments)
    from dualgnn_dist.launch.workers import run_on_workers
    from dualgnn_dist.results.metrics_table import show
    from dualgnn_dist.training import checkpoint
    from dualgnn_dist.training.evaluator import evaluate_best
    from dualgnn_dist.training.load import load
    from dualgnn_dist.training.run import Run
    from dualgnn_dist.training.run_at_url import fetch
    from dualgnn_dist.training.run_folder import CONFIG, METRICS
    from dualgnn_dist.training.state import author

    folder = fetch(options.run)
    if not (folder / METRICS).is_file():
        raise UserError(f"{folder} is no finished run: it has no {METRICS}; finish it with `train --resume`")
    config = load(folder / CONFIG, options.overrides)
    here = dataclasses.replace(config.run, output=str(folder.parent), name=folder.name)
    config = dataclasses.replace(config, run=here)
    # Refused here what every worker would refuse: under Ray that takes a minute and ends in tracebacks.
    checkpoint.check_written_by(Run(here).best(), author(config, config.data.open()))
    metrics = run_on_workers(config, evaluate_best, options.split)
    written = json.loads((folder / METRICS).read_text())
    show(options.run, {**written, "test_by_candidates": metrics}, options.split)


if __name__ == "__main__":
    command_line.run_program(main)
