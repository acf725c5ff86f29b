"""`python -m dualgnn_dist.tune`: a sweep over a search space, from a config to the best run and its test metrics."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from dualgnn_dist.base import command_line


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = command_line.parser(
        "tune",
        "Search hyperparameters: trials on a Ray cluster, chosen by Optuna,\nthe best one measured on the test items.",
        "python -m dualgnn_dist.tune --config configs/sweep_tiktok.yaml \\\n    model.name=lightgcn sweep.trials=30",
    )
    command_line.add_config(parser)
    parser.add_argument("--resume", action="store_true", help="go on with the sweep of this name where it was stopped")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = command_line.parse(parser(), arguments, _did_you_mean)
    from dualgnn_dist.launch.ray_tune.sweep import tune
    from dualgnn_dist.results.sweep_table import show
    from dualgnn_dist.training.sweep.load import load_sweep

    sweep = load_sweep(options.config, options.overrides)
    show(tune(sweep, options.resume))


def _did_you_mean(name: str, value: str) -> str:
    from dualgnn_dist.training.settings.names import did_you_mean

    return did_you_mean(name, value)


if __name__ == "__main__":
    command_line.run_program(main)
