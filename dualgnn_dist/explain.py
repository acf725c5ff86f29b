"""`python -m dualgnn_dist.explain`: what a finished run learned, of all users by community, or of one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from dualgnn_dist.base import command_line


def parser() -> argparse.ArgumentParser:
    """The options."""
    verb = command_line.parser(
        "explain",
        "Show what a run learned: modality weights by community, or one user's co-users.",
        "python -m dualgnn_dist.explain --run runs/quickstart --user 17",
    )
    verb.add_argument("--run", metavar="RUN", required=True, help="the folder or URL of a finished run")
    verb.add_argument("--user", metavar="ID", help="one user, by its id in the raw data")
    verb.add_argument("--communities", metavar="N", type=int, default=8, help="at most so many (default: 8)")
    verb.add_argument(
        "--output", metavar="FOLDER", help="of figure and table (default: explanation, in the run; here for a URL)"
    )
    return verb


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(arguments)
    from dualgnn_dist.base.screen import console
    from dualgnn_dist.results.explain.screen import explain_all, explain_user
    from dualgnn_dist.results.finished_run import FinishedRun, output_of

    run, screen = FinishedRun.read(options.run), console()
    if options.user is not None:
        explain_user(run, options.user, screen)
    else:
        folder = Path(options.output or output_of(options.run, run.folder, "explanation")).absolute()
        explain_all(run, options.communities, folder, screen)


if __name__ == "__main__":
    command_line.run_program(main)
