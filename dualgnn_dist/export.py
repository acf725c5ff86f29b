"""`python -m dualgnn_dist.export`: a finished run's vectors for other programs, as files or as an index."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from dualgnn_dist.base import command_line


def parser() -> argparse.ArgumentParser:
    """The options."""
    verb = command_line.parser(
        "export",
        "Write a run's vectors, whose inner products are its scores, for other programs.",
        "python -m dualgnn_dist.export --run runs/quickstart --to parquet",
    )
    verb.add_argument("--run", metavar="RUN", required=True, help="the folder or URL of a finished run")
    verb.add_argument(
        "--to",
        choices=["parquet", "npy", "safetensors", "faiss", "hnsw"],
        required=True,
        help="kind of files; the last two are FAISS indexes of the items",
    )
    verb.add_argument("--output", metavar="FOLDER", help="default: vectors_<kind>, in the run; here for a URL")
    return verb


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = parser().parse_args(arguments)
    from dualgnn_dist.base.screen import say
    from dualgnn_dist.results.finished_run import FinishedRun, output_of
    from dualgnn_dist.results.recommend.opened_run import OpenedRun
    from dualgnn_dist.results.vectors.folder import check_absent, export_to

    run = FinishedRun.read(options.run)
    folder = Path(options.output or output_of(options.run, run.folder, f"vectors_{options.to}")).absolute()
    check_absent(folder)
    about = export_to(folder, OpenedRun.of(run), options.to)
    users, items = f"{about['num_users']:,} users", f"{about['num_items']:,} items"
    say(f"vectors of {users} and {items}, width {about['width']}; a score is an {about['score']}")
    if "recall@20" in about:
        say(f"the index finds {about['recall@20']:.1%} of the exact lists of 20")
    say(f"folder: {folder}")


if __name__ == "__main__":
    command_line.run_program(main)
