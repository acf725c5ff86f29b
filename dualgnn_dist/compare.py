"""`python -m dualgnn_dist.compare`: finished runs side by side, seeds as rows, differences tested over users."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from dualgnn_dist.base import command_line


def parser() -> argparse.ArgumentParser:
    """The options."""
    verb = command_line.parser(
        "compare",
        "Compare finished runs: means over seeds, paired tests over users.",
        "python -m dualgnn_dist.compare --runs runs/tiktok_*_s? --baseline lightgcn",
    )
    verb.add_argument("--runs", metavar="RUN", nargs="+", required=True, help="folders or URLs of finished runs")
    verb.add_argument("--baseline", metavar="NAME", help="the row to test against (default: the best)")
    verb.add_argument("--metrics", nargs="+", metavar="M", default=["recall@20", "ndcg@20"])
    verb.add_argument("--split", choices=["valid", "test"], default="test", help="what is held out (default: test)")
    verb.add_argument("--candidates", choices=["all", "warm", "cold"], help="items to rank (default: as in training)")
    verb.add_argument("--output", metavar="FOLDER", help="default: comparison, beside the runs; here for URLs")
    return verb


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(arguments)
    from dualgnn_dist.base.screen import console
    from dualgnn_dist.results.compare.comparison import compare
    from dualgnn_dist.results.compare.text import folder_for, show, write
    from dualgnn_dist.results.finished_run import FinishedRun

    runs = [FinishedRun.read(place) for place in options.runs]
    folder = folder_for(options.runs, runs, options.output)
    metrics = list(dict.fromkeys(options.metrics))
    comparison = compare(runs, metrics, options.split, options.candidates, options.baseline)
    write(comparison, folder)
    show(comparison, folder, console())


if __name__ == "__main__":
    command_line.run_program(main)
