"""`python -m dualgnn_dist.report`: a run or a sweep as one HTML page that needs no network."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from dualgnn_dist.base import command_line
from dualgnn_dist.base.errors import UserError


def parser() -> argparse.ArgumentParser:
    """The options."""
    verb = command_line.parser(
        "report",
        "Write a run or a sweep as one HTML page; an unfinished one with what there is.",
        "python -m dualgnn_dist.report --run runs/quickstart",
    )
    what = verb.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", metavar="RUN", help="the folder or URL of a run")
    what.add_argument("--sweep", metavar="DIR", help="the folder of a sweep, as `tune` named it")
    verb.add_argument("--output", metavar="FILE", help="the page (default: report.html, in the folder; here for a URL)")
    return verb


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(arguments)
    if options.output is not None and not options.output.endswith(".html"):  # a slip would write over a run's file
        raise UserError(f"--output {options.output!r} must be the name of a page, such as report.html")
    from dualgnn_dist.base.screen import say
    from dualgnn_dist.base.storage.files import write_atomically, writing_to
    from dualgnn_dist.results.finished_run import output_of
    from dualgnn_dist.results.finished_sweep import SweepRecord
    from dualgnn_dist.results.report.run_page import run_page
    from dualgnn_dist.results.report.sweep_page import sweep_page
    from dualgnn_dist.results.run_record import RunRecord

    record = RunRecord.read(options.run) if options.run else SweepRecord.read(options.sweep)
    text = run_page(record) if isinstance(record, RunRecord) else sweep_page(record)
    path = Path(options.output or output_of(options.run or "", record.folder, "report.html")).absolute()
    with writing_to(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    say(f"report: {path} ({path.stat().st_size / 1024:,.0f} KiB)")


if __name__ == "__main__":
    command_line.run_program(main)
