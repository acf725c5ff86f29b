"""`python -m dualgnn_dist.prepare`: raw data to a store."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from dualgnn_dist.base import command_line
from dualgnn_dist.base.config import UserError, plain, run_program
from dualgnn_dist.base.remote import is_url
from dualgnn_dist.base.screen import say
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.store import staging
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.launch.ray_blocks import ray_map
from dualgnn_dist.training.config import RunConfig, load_prepare

_DO_NOT_CHANGE_A_STORE = ("num_threads", "backend", "overwrite")


def ensure_store(config: RunConfig) -> Store:
    """Opens the config's store; where there is none and the config says how, makes it first.

    Raises:
        UserError: no store and no `prepare` section, or a store that was made with other settings.
    """
    data = config.data
    if not (staging.exists(data.store) if is_url(data.store) else Path(data.store).exists()):
        if config.prepare is None:
            raise UserError(
                f"there is no store at {data.store}, and the config has no prepare section that says how to make it"
            )
        say(f"preparing {data.store}")
        make_at(data.store, config.prepare, data.cache)
    if data.verify:
        say(f"reading every byte of {data.store}")
    store = data.open()
    if config.prepare is not None:
        _check_settings(store, config.prepare)
    return store


def make_at(place: str, config: PrepareConfig, cache: str | None = None) -> Path:
    """Makes a store in a folder, or in the node's cache and then at a URL; returns the folder that it lies in here.

    Args:
        cache: as `DataConfig.cache`.

    Raises:
        UserError: there is a store already, the raw data are refused, or the storage refuses the store.
    """
    if not is_url(place):
        make(config, Path(place))
        return Path(place)
    staging.check_free(place, config.overwrite)
    workplace = staging.new_workplace(cache)
    try:
        make(config, workplace / "store")
    except BaseException:
        shutil.rmtree(workplace, ignore_errors=True)
        raise
    try:
        folder = staging.publish(workplace / "store", place, config.overwrite, cache)
    except UserError as error:  # what took hours to make is not thrown away with it
        raise UserError(f"{error}. The store itself is made: data.store={workplace / 'store'}") from error
    shutil.rmtree(workplace, ignore_errors=True)
    return folder


def make(config: PrepareConfig, path: Path) -> None:
    """Makes a store where the config says: in this process, or with tasks of a Ray cluster."""
    with ray_map() if config.backend == "ray" else nullcontext() as block_map:
        prepare(config, path, say, block_map)


def _check_settings(store: Store, config: PrepareConfig) -> None:
    """A store made from something else than the config says would give numbers under a wrong name."""
    made, asked = store.manifest.settings["prepare"], plain(config)
    defaults = {field.name: field.default for field in dataclasses.fields(config)}  # of settings younger than the store
    for key, value in asked.items():
        if key not in (*_DO_NOT_CHANGE_A_STORE, "input") and made.get(key, defaults[key]) != value:
            raise UserError(
                f"the store {store.path} was made with prepare.{key}={made.get(key)!r}, the config says {value!r}; "
                "point data.store to another folder, or make it again with `prepare --overwrite`"
            )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    made = command_line.parser(
        "prepare",
        "Make an Arrow store from raw data: interactions, graphs, item features.",
        "python -m dualgnn_dist.prepare --output stores/mine \\\n"
        "    prepare.format=table prepare.input=ratings.csv prepare.split=random",
    )
    command_line.add_config(made, required=False)
    made.add_argument("--output", metavar="STORE", help="the store's folder or URL; default: the config's data.store")
    made.add_argument("--overwrite", action="store_true", help="replace the store if there is one")
    options = command_line.parse(made, arguments)
    config, output = load_prepare(options.config, options.overrides)
    path = options.output or output
    if path is None:
        raise UserError("where to? name the store's folder with --output, or in the config under data.store")
    config = dataclasses.replace(config, overwrite=config.overwrite or options.overwrite)
    manifest = Store.open(make_at(path, config)).manifest
    counts = ", ".join(f"{split} {count:,}" for split, count in manifest.num_interactions.items())
    say(f"store: {path}  ({manifest.num_users:,} users, {manifest.num_items:,} items; {counts})")


if __name__ == "__main__":
    run_program(main)
