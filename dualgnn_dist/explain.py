"""`python -m dualgnn_dist.explain`: what a finished run learned, of all users by community, or of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from dualgnn_dist.base import command_line
from dualgnn_dist.base.command_line import run_program
from dualgnn_dist.results.explain.screen import explain_all, explain_user
from dualgnn_dist.results.finished_run import read_run
from dualgnn_dist.training.run_at_url import fetch


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    made = command_line.parser(
        "explain",
        "Show what a run learned: modality weights by community, or one user's co-users.",
        "python -m dualgnn_dist.explain --run runs/quickstart --user 17",
    )
    made.add_argument("--run", metavar="DIR", required=True, help="the folder of a finished run")
    made.add_argument("--user", metavar="ID", help="one user, by its id in the raw data")
    made.add_argument("--communities", metavar="N", type=int, default=8, help="at most so many (default: 8)")
    made.add_argument("--output", metavar="FOLDER", help="of figure and table (default: explanation, in the run)")
    options = made.parse_args(arguments)
    run, console = read_run(fetch(options.run)), Console()
    if options.user is not None:
        explain_user(run, options.user, console)
    else:
        folder = Path(options.output or run.folder / "explanation").absolute()
        explain_all(run, options.communities, folder, console)


if __name__ == "__main__":
    run_program(main)
