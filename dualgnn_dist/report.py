"""`python -m dualgnn_dist.report`: a run or a sweep as one HTML page that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dualgnn_dist.base import command_line
from dualgnn_dist.base.command_line import run_program
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.files import write_atomically
from dualgnn_dist.results.finished_sweep import read_sweep
from dualgnn_dist.results.report.run_page import run_page
from dualgnn_dist.results.report.sweep_page import sweep_page
from dualgnn_dist.results.run_files import read_files


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    made = command_line.parser(
        "report",
        "Write a run or a sweep as one HTML page; an unfinished one with what there is.",
        "python -m dualgnn_dist.report --run runs/quickstart",
    )
    what = made.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", metavar="DIR", help="the folder of a run")
    what.add_argument("--sweep", metavar="DIR", help="the folder of a sweep, as `tune` named it")
    made.add_argument("--output", metavar="FILE", help="the page (default: report.html, in the folder)")
    options = made.parse_args(arguments)
    if options.output is not None and not options.output.endswith(".html"):  # a slip would write over a run's file
        raise UserError(f"--output {options.output!r} must be the name of a page, such as report.html")
    folder = Path(options.run or options.sweep).absolute()
    text = run_page(read_files(folder)) if options.run else sweep_page(read_sweep(folder))
    path = Path(options.output or folder / "report.html").absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); choose another file with --output") from error
    print(f"report: {path} ({path.stat().st_size / 1024:,.0f} KiB)")


if __name__ == "__main__":
    run_program(main)
