"""`python -m dualgnn_dist.recommend`: lists of items for users of a finished run, and items that resemble an item."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from dualgnn_dist.base import command_line


def parser() -> argparse.ArgumentParser:
    """The options."""
    verb = command_line.parser(
        "recommend",
        "List the best items of users, or the items that resemble an item.",
        "python -m dualgnn_dist.recommend --run runs/quickstart --users 17 18 --k 5",
    )
    verb.add_argument("--run", metavar="RUN", required=True, help="the folder or URL of a finished run")
    whose = verb.add_mutually_exclusive_group(required=True)
    whose.add_argument("--users", metavar="ID", nargs="+", help="by their ids in the raw data")
    whose.add_argument("--users-file", metavar="FILE", help="the same, one id a line")
    whose.add_argument("--all", action="store_true", help="all users; into a file")
    whose.add_argument("--similar", metavar="ITEM", nargs="+", help="items whose vectors point the same way (cosine)")
    verb.add_argument("--k", metavar="K", type=int, default=10, help="length of a list (default: 10)")
    verb.add_argument("--candidates", metavar="FILE", help="list only these items, one id a line")
    verb.add_argument("--include-seen", action="store_true", help="list a user's own items too")
    verb.add_argument("--output", metavar="FILE", help="users' lists as .parquet or .jsonl (default: on the screen)")
    return verb


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    verb = parser()
    options = verb.parse_args(arguments)
    if options.similar and options.output:
        verb.error("--similar shows its items on the screen; --output goes with users")
    if options.all and not options.output:
        verb.error("--all needs a file: --output lists.parquet")
    import numpy as np

    from dualgnn_dist.base.screen import console
    from dualgnn_dist.results.raw_ids import ids_in, rows_of
    from dualgnn_dist.results.recommend.lists import Request
    from dualgnn_dist.results.recommend.opened_run import OpenedRun
    from dualgnn_dist.results.recommend.output import check_output
    from dualgnn_dist.results.recommend.screen import recommend_to, show_similar

    output = Path(options.output).absolute() if options.output else None
    if output is not None:
        check_output(output)
    users_in_file = ids_in(Path(options.users_file)) if options.users_file else None
    items_in_file = ids_in(Path(options.candidates)) if options.candidates else None
    Request(options.k)  # what is wrong with it is said before the vectors are read
    opened = OpenedRun.read(options.run)
    store = opened.store
    candidates = None if items_in_file is None else rows_of(store, "items", items_in_file, options.candidates)
    request = Request(options.k, options.include_seen, candidates)
    if options.similar:
        show_similar(opened, rows_of(store, "items", options.similar), request, console())
        return
    if options.all:
        users = np.arange(store.manifest.num_users)
    elif users_in_file is not None:
        users = rows_of(store, "users", users_in_file, options.users_file)
    else:
        users = rows_of(store, "users", options.users)
    recommend_to(opened, users, request, output, console())


if __name__ == "__main__":
    command_line.run_program(main)
