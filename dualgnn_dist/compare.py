"""`python -m dualgnn_dist.compare`: finished runs side by side, seeds as rows, differences tested over users."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from dualgnn_dist.base import command_line
from dualgnn_dist.base.command_line import run_program
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.results.compare.comparison import compare
from dualgnn_dist.results.compare.text import notes, table_of, write
from dualgnn_dist.results.finished_run import read_run
from dualgnn_dist.training.run_at_url import fetch
from dualgnn_dist.training.run_folder import CONFIG


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    made = command_line.parser(
        "compare",
        "Compare finished runs: means over seeds, paired tests over users.",
        "python -m dualgnn_dist.compare --runs runs/tiktok_*_s? --baseline lightgcn",
    )
    made.add_argument("--runs", metavar="DIR", nargs="+", required=True, help="folders of finished runs")
    made.add_argument("--baseline", metavar="NAME", help="the row to test against (default: the best)")
    made.add_argument("--metrics", nargs="+", metavar="M", default=["recall@20", "ndcg@20"])
    made.add_argument("--split", choices=["valid", "test"], default="test", help="what is held out (default: test)")
    made.add_argument("--candidates", choices=["all", "warm", "cold"], help="items to rank (default: as in training)")
    made.add_argument("--output", metavar="FOLDER", help="default: comparison, beside the runs")
    options = made.parse_args(arguments)
    runs = [read_run(fetch(folder)) for folder in options.runs]
    beside = os.path.commonpath([run.folder.parent for run in runs])
    folder = Path(options.output or Path(beside) / "comparison").absolute()
    if (folder / CONFIG).exists():
        raise UserError(f"{folder} is the folder of a run; choose another folder with --output")
    metrics = list(dict.fromkeys(options.metrics))
    found = compare(runs, metrics, options.split, options.candidates, options.baseline)
    write(found, folder)
    console = Console()
    table_of(found).show(console)
    for note in notes(found):
        console.print(f"- {note}", highlight=False)
    console.print(f"comparison: {folder}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    run_program(main)
