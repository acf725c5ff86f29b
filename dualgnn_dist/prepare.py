"""`python -m dualgnn_dist.prepare`: raw data to a store."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence

from dualgnn_dist.base import command_line
from dualgnn_dist.base.errors import UserError


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = command_line.parser(
        "prepare",
        "Make an Arrow store from raw data: interactions, graphs, item features.",
        "python -m dualgnn_dist.prepare --output stores/mine \\\n"
        "    prepare.format=table prepare.input=ratings.csv prepare.split=random",
    )
    command_line.add_config(parser, required=False)
    parser.add_argument("--output", metavar="STORE", help="the store's folder or URL; default: the config's data.store")
    parser.add_argument("--overwrite", action="store_true", help="replace the store if there is one")
    parser.add_argument("--verify", metavar="STORE", help="make nothing: read every byte of a store, folder or URL")
    parser.add_argument("--inspect", metavar="FILE", help="print the config that fits a file or a folder")
    parser.add_argument(
        "--modality",
        metavar="NAME=FILE",
        action="append",
        default=[],
        help="with --inspect: what is known of the items",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = command_line.parse(parser(), arguments, _did_you_mean)
    if options.verify is not None:
        if options.config or options.output or options.overwrite or options.overrides or options.inspect:
            raise UserError("--verify makes nothing: give it the store alone")
        verify(options.verify)
        return
    if options.inspect is not None:
        inspect(options)
        return
    if options.modality:
        raise UserError("--modality goes with --inspect; a config names modalities under prepare.modalities")
    from dualgnn_dist.base.screen import say
    from dualgnn_dist.data.make import make_at
    from dualgnn_dist.data.store.reader import Store
    from dualgnn_dist.launch.workers import blocks_of
    from dualgnn_dist.training.load import load_prepare

    config, store, cache = load_prepare(options.config, options.overrides)
    place = options.output or store
    if place is None:
        raise UserError("where to? name the store's folder with --output, or in the config under data.store")
    config = dataclasses.replace(config, overwrite=config.overwrite or options.overwrite)
    manifest = Store.open(make_at(place, config, cache, blocks_of(config))).manifest
    counts = ", ".join(f"{split} {count:,}" for split, count in manifest.num_interactions.items())
    say(f"store: {place}  ({manifest.num_users:,} users, {manifest.num_items:,} items; {counts})")


def inspect(options: argparse.Namespace) -> None:
    """Prints the config that fits a file, with what was seen as its comments.

    Raises:
        UserError: nothing fits.
    """
    from dualgnn_dist.base.screen import say
    from dualgnn_dist.data.prepare.inspect.inspection import inspect as look

    if options.config or options.overwrite or options.overrides:
        raise UserError("--inspect makes nothing: give it the file, and perhaps --modality and --output")
    say(look(options.inspect, options.modality, options.output).removesuffix("\n"))


def verify(place: str) -> None:
    """Reads every byte of a store and prints a table of its files.

    Raises:
        UserError: something is wrong with it; the table says what.
    """
    from rich.console import Console

    from dualgnn_dist.base.screen import TextTable, visible
    from dualgnn_dist.data.store.schema import AGAIN
    from dualgnn_dist.data.store.verify import verify as read

    reports = read(place)

    def row(file: str, rows: int | None, num_bytes: int | None, text: str) -> tuple[str, ...]:
        numbers = ("" if number is None else f"{number:,}" for number in (rows, num_bytes))
        return visible(file, keep=""), *numbers, visible(text, keep="")

    rows = [row(each.file, each.rows, each.num_bytes, each.problem or each.note) for each in reports]
    TextTable(("file", "rows", "bytes", "state"), {place: rows}).show(Console(markup=False, highlight=False))
    num_wrong = sum(report.problem is not None for report in reports)
    if num_wrong:
        raise UserError(f"{num_wrong:,} of the {len(reports):,} files of {place} are damaged, see above; {AGAIN}")


def _did_you_mean(name: str, value: str) -> str:
    from dualgnn_dist.training.settings.names import did_you_mean

    return did_you_mean(name, value)


if __name__ == "__main__":
    command_line.run_program(main)
