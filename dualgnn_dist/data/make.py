"""A store where a config wants it: opened, or made first."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from dualgnn_dist.base.config import decides, plain
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import say
from dualgnn_dist.base.storage.lease import only_writer_at
from dualgnn_dist.base.storage.remote import RemoteFolder, is_url
from dualgnn_dist.data.config import DataConfig
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.cooccurrence.blocks import BlockMap
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.prepare.raw_data import RawData
from dualgnn_dist.data.store import staging
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.schema import MANIFEST

Blocks = AbstractContextManager[BlockMap | None]
"""Entered while a store is made: who counts its co-occurrence, block by block; None: threads of this process."""


def ensure_store(data: DataConfig, prepare_config: PrepareConfig | None, blocks: Blocks | None = None) -> Store:
    """Opens the config's store; where there is none and the config says how, makes it first.

    Raises:
        UserError: no store and no `prepare` section, or a store that was made with other settings.
    """
    if not (staging.exists(data.store) if is_url(data.store) else Path(data.store).exists()):
        if prepare_config is None:
            raise UserError(
                f"there is no store at {data.store}, and the config has no prepare section that says how to make it"
            )
        say(f"preparing {data.store}")
        make_at(data.store, prepare_config, data.cache, blocks)
    if data.verify:
        say(f"reading every byte of {data.store}")
    store = data.open()
    if not store.manifest.has_checksum:
        say(f"{store.path}/{MANIFEST} is of an older program and has no checksum: that it is whole cannot be checked")
    if prepare_config is not None:
        _check_settings(store, prepare_config)
    return store


def make_at(
    place: str,
    config: PrepareConfig,
    cache: str | None = None,
    blocks: Blocks | None = None,
    *,
    say: Callable[[str], None] = say,
    read: Callable[[], RawData] | None = None,
) -> Path:
    """Makes a store in a folder, or in the node's cache and then at a URL; returns the folder that it lies in here.

    Args:
        cache: as `DataConfig.cache`.
        say: gets a line a stage.
        read: as of `prepare`.

    Raises:
        UserError: there is a store already, another process makes it, the raw data are refused, or the storage refuses
            the store.
    """
    if not is_url(place):
        _make(config, Path(place), blocks, say, read)
        return Path(place)
    staging.refuse_occupied(place, config.overwrite)
    with only_writer_at(RemoteFolder.at(place), "the store", say):
        staging.refuse_occupied(place, config.overwrite)  # another process has made it meanwhile
        workplace = staging.new_workplace(cache)
        try:
            _make(config, workplace / "store", blocks, say, read)
        except BaseException:
            staging.remove_workplace(workplace)
            raise
        try:
            folder = staging.publish(workplace / "store", place, config.overwrite, cache)
        except UserError as error:  # what took hours to make is not thrown away with it
            raise UserError(f"{error}. The store itself is made: data.store={workplace / 'store'}") from error
        staging.remove_workplace(workplace)
    return folder


def _make(
    config: PrepareConfig,
    path: Path,
    blocks: Blocks | None,
    say: Callable[[str], None],
    read: Callable[[], RawData] | None,
) -> None:
    with blocks or nullcontext() as block_map:
        prepare(config, path, say, block_map, read)


def _check_settings(store: Store, config: PrepareConfig) -> None:
    """A store made from something else than the config says would give numbers under a wrong name."""
    stored, wanted = store.manifest.prepared_with, plain(config)
    defaults = {field.name: field.default for field in dataclasses.fields(config)}  # of settings younger than the store
    for key, decision in decides(config).items():
        value = wanted[key]
        if decision == "numbers" and stored.get(key, defaults[key]) != value:
            raise UserError(
                f"the store {store.path} was made with prepare.{key}={stored.get(key)!r}, the config says {value!r}; "
                "point data.store to another folder, or make it again with `prepare --overwrite`"
            )
