"""`python -m dualgnn_dist.evaluate`: a finished run's checkpoint, represented exactly and ranked again."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence

from dualgnn_dist.base import command_line


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = command_line.parser(
        "evaluate",
        "Rank a checkpoint of a finished run again, on any number of workers.",
        "python -m dualgnn_dist.evaluate --run runs/quickstart --split valid \\\n    resources.num_workers=1",
    )
    parser.add_argument("--run", metavar="DIR", required=True, help="the folder or URL of a finished run")
    parser.add_argument("--split", choices=["valid", "test"], default="test", help="what is held out (default: test)")
    parser.add_argument(
        "--checkpoint",
        metavar="NAME",
        help="one of the run's checkpoints, or a folder of one (default: the best)",
    )
    command_line.add_overrides(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = command_line.parse(parser(), arguments, _did_you_mean)
    from dualgnn_dist.base.screen import say_aside
    from dualgnn_dist.launch.workers import run_on_workers
    from dualgnn_dist.results.chosen_checkpoint import choose
    from dualgnn_dist.results.finished_run import FinishedRun
    from dualgnn_dist.results.metrics_table import differences, show
    from dualgnn_dist.training.config import NUMBERS, decided
    from dualgnn_dist.training.evaluator import evaluate_checkpoint
    from dualgnn_dist.training.load import load
    from dualgnn_dist.training.run_folder import CONFIG

    run = FinishedRun.read(options.run)
    config = load(run.folder / CONFIG, options.overrides)
    here = dataclasses.replace(config.run, output=str(run.folder.parent), name=run.folder.name)
    config = dataclasses.replace(config, run=here)
    chosen = choose(run, config, options.checkpoint, say_aside)
    by_candidates = run_on_workers(config, evaluate_checkpoint, (options.split, chosen.folder))
    if chosen.is_best and decided(config, *NUMBERS) == decided(run.config, *NUMBERS):
        for line in differences(by_candidates, run.metrics[options.split], options.split):
            say_aside(line)
    shown = {"model": config.model.name, "best_epoch": chosen.epoch, "test_by_candidates": by_candidates}
    show(options.run, shown, options.split)


def _did_you_mean(name: str, value: str) -> str:
    from dualgnn_dist.training.settings.names import did_you_mean

    return did_you_mean(name, value)


if __name__ == "__main__":
    command_line.run_program(main)
