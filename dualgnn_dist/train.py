"""`python -m dualgnn_dist.train`: the main job, from a config to test metrics."""

from __future__ import annotations

import json
from collections.abc import Sequence

from dualgnn_dist.base import command_line
from dualgnn_dist.base.command_line import run_program
from dualgnn_dist.launch.run import train
from dualgnn_dist.results.metrics_table import show
from dualgnn_dist.training.load import load
from dualgnn_dist.training.run_at_url import Mirror
from dualgnn_dist.training.run_folder import METRICS


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
