"""`python -m dualgnn_dist.train`: the main job, from a config to test metrics."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from dualgnn_dist.base import command_line
from dualgnn_dist.base.errors import UserError

_DEMO = "quickstart"


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = command_line.parser(
        "train",
        "Train a model and rank the test items; makes the store first if there is none.\n"
        "Without any argument the demo is trained.",
        "python -m dualgnn_dist.train --config configs/tiktok.yaml \\\n"
        "    model.name=lightgcn optimizer.learning_rate=0.001 run.name=tiktok_lightgcn",
    )
    command_line.add_config(parser, required=False)
    parser.add_argument(
        "--resume", action="store_true", help="go on with the run of this name from its newest checkpoint"
    )
    parser.add_argument(
        "--resume-or-start", action="store_true", help="the same, or start where there is no such run: for what retries"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = command_line.parse(parser(), arguments, _did_you_mean)
    from dualgnn_dist.base.screen import say
    from dualgnn_dist.launch.run import start_run
    from dualgnn_dist.results.metrics_table import show
    from dualgnn_dist.training.load import file_meant, load
    from dualgnn_dist.training.run import Run
    from dualgnn_dist.training.run_folder import METRICS

    if options.config is None and arguments:
        meant = next(filter(None, map(file_meant, options.overrides)), "; without any argument the demo is trained")
        raise UserError(f"which run? name a config with --config FILE{meant}")
    if options.config is None:
        say(f"no config was named: this is the demo, the config {_DEMO}; `--help` says how to train something else")
        options.config, options.overrides = _DEMO, [f"run.name={_DEMO}_{time.strftime('%Y%m%d_%H%M%S')}"]
    config = load(options.config, options.overrides)
    run = Run(config.with_absolute_paths().run)
    folder = start_run(config, options.resume or (options.resume_or_start and run.is_started()))
    show(run.name_for_people, json.loads((folder / METRICS).read_text()))


def _did_you_mean(name: str, value: str) -> str:
    from dualgnn_dist.training.settings.names import did_you_mean

    return did_you_mean(name, value)


if __name__ == "__main__":
    command_line.run_program(main)
