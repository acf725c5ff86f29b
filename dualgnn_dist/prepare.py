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
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = command_line.parse(parser(), arguments)
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


if __name__ == "__main__":
    command_line.run_program(main)
