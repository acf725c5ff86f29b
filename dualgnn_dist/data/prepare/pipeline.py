"""`prepare`: raw data -> store, stage after stage, in memory that does not grow with the interactions.

What is as long as the interactions lies in mapped files of `Scratch`. In memory are a block of it, the ids, and some
numbers a user and an item. The first stage that needs an order groups the interactions by user; from then on what
belongs together stands together, and duplicates, k-core, splits and the user rows come from going through the files
once, with the results and the random numbers of an in-memory run. Four steps read or write at random places: grouping
by user, the random order of a split, that of the training interactions, and grouping by item. Each touches 4 to 8 bytes
an interaction at a time; where the page cache has no room for so much, the disk sets the pace.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from dualgnn_dist.base.config import plain
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.content.catalogue import Catalogue, match
from dualgnn_dist.data.prepare.content.features import write_features
from dualgnn_dist.data.prepare.cooccurrence.blocks import BlockMap
from dualgnn_dist.data.prepare.counting_sort import count
from dualgnn_dist.data.prepare.fetching import fetched
from dualgnn_dist.data.prepare.filter import compact, drop_duplicates, drop_light, k_core
from dualgnn_dist.data.prepare.formats import FORMATS
from dualgnn_dist.data.prepare.ids import IdTable, assign_rows
from dualgnn_dist.data.prepare.interactions import InteractionTable
from dualgnn_dist.data.prepare.raw_data import BLOCK_ROWS, SPLIT_CODES, RawData, Tally
from dualgnn_dist.data.prepare.scratch import Scratch
from dualgnn_dist.data.prepare.split import BY_TIME, split
from dualgnn_dist.data.prepare.writing import write_cooccurrence, write_graphs, write_ids, write_interactions
from dualgnn_dist.data.store.schema import checksum
from dualgnn_dist.data.store.writer import StoreWriter

Say = Callable[[str], None]


def prepare(
    config: PrepareConfig,
    output: Path,
    say: Say = print,
    block_map: BlockMap | None = None,
    read: Callable[[], RawData] | None = None,
) -> Path:
    """Makes the store at `output` and returns its path.

    Args:
        say: gets a line a stage, with its seconds.
        block_map: what co-occurrence is counted on; None: threads of this process.
        read: gives the raw data; None: the config's format does.

    Raises:
        UserError: what is wrong with the settings or the raw data, and where. Nothing is left behind then.
    """
    with (
        _enough_memory(),
        StoreWriter(output, config.rows_per_shard, config.overwrite, say) as writer,
        fetched(config, writer.path, say) as here,
    ):
        scratch = Scratch(writer.folder, BLOCK_ROWS)
        with _stage("read", say) as note:
            raw = read() if read is not None else _read(here)
            _refuse_settings(config, raw)
            table, user_ids, catalogue, num_read = _assign_rows(config, raw, scratch, say)
            rows = _rows(raw.tallies, num_read, len(table), note)
        with _stage("filter", say) as note:
            table, users, items, left_out = _filter(config, raw, table, len(user_ids), catalogue, scratch, note)
            rows |= left_out
            of_catalogue = catalogue.counts(items, table.items, note)
        with _stage("split", say) as note:
            parts = _split(config, table, len(users), scratch, note)
            del table
        with _stage("interactions", say):
            write_ids(writer, user_ids, users, catalogue.ids, items)
            del user_ids
            write_interactions(writer, parts, config.seed, scratch)
        with _stage("graphs", say):
            user_item, item_user = write_graphs(writer, parts["train"], len(users), len(items), scratch)
        with _stage("co-occurrence", say) as note:
            left_out["popular_items"] = write_cooccurrence(writer, config, user_item, item_user, block_map, say, note)
        modalities = {}
        for name, modality in raw.modalities.items():
            with _stage(name, say) as note:
                modalities[name] = write_features(writer, name, modality, catalogue, items, config.standardize, note)
                note(f"{modalities[name].num_present:,} of {len(items):,} items")
        num_interactions = {name: len(part) for name, part in parts.items()}
        rows["interactions"] = sum(num_interactions.values())
        assert 2 * rows["read"] == sum(rows.values()), f"rows are lost: {rows}"
        with _stage("commit", say):
            writer.commit(
                num_users=len(users),
                num_items=len(items),
                num_interactions=num_interactions,
                modalities=modalities,
                settings={"prepare": plain(config), "left_out": left_out, "rows": rows, "catalogue": of_catalogue},
                sources=_checksums(raw.sources) | dict(raw.checksums),
            )
    return output


def _read(config: PrepareConfig) -> RawData:
    raw: RawData = FORMATS[config.format].read(config.input, config.modalities, config.format_options())
    return raw


def _assign_rows(
    config: PrepareConfig, raw: RawData, scratch: Scratch, say: Say
) -> tuple[InteractionTable, IdTable, Catalogue, int]:
    """As `assign_rows`, with the items that the store may have; they are compared before the log is read again."""
    catalogue: Catalogue

    def items_of(log: IdTable) -> IdTable:
        nonlocal catalogue
        with _stage("catalogue", say if raw.modalities and not raw.ids_are_rows else lambda line: None) as note:
            # Where ids are rows, all items stay but those that the k-core drops.
            catalogue = match(raw, log, config.cold_items == "keep" and (config.k_core > 0 or not raw.ids_are_rows))
            for name, overlap in catalogue.overlaps.items():
                note(f"{name}: {overlap.words()}")
        return catalogue.ids

    table, users, _, num_read = assign_rows(raw, scratch, items_of)
    return table, users, catalogue, num_read


def _rows(tallies: Sequence[Tally], num_in_blocks: int, num_kept: int, note: Say) -> dict[str, int]:
    """How many rows the input has, and how many of them are left out by which rule; says so."""
    left_out = sum((tally.left_out for tally in tallies), Counter[str]())
    rows = {"read": num_in_blocks + left_out.total(), "below_min_rating": num_in_blocks - num_kept} | left_out
    note(f"{rows['read']:,} rows, {num_kept:,} interactions")
    words = {"where": "not chosen by `where`", "no_weight": "without a weight", "nulls": "lacking a value"}
    for name, why in words.items():
        if left_out[name]:
            note(f"left out {left_out[name]:,} rows {why}")
    for line in dict.fromkeys(line for tally in tallies for line in tally.notes):
        note(line)
    return rows


def _refuse_settings(config: PrepareConfig, raw: RawData) -> None:
    """What does not fit the input, before hours of reading."""
    if config.split in BY_TIME and raw.no_times is not None:
        raise UserError(
            f"prepare.split is {config.split!r}, which goes by time, but {raw.no_times}; or choose 'random'"
        )
    if config.cold_items == "keep" and not raw.modalities:
        raise UserError(
            "prepare.cold_items is 'keep', but an item without an interaction is kept for its content, and there is no "
            "modality; name one in prepare.modalities, or choose 'drop'"
        )


def _checksums(sources: Sequence[Path]) -> dict[str, str]:
    """By the names of the files; where two have the same name, by their paths from the folder that holds all."""
    names = Counter(path.name for path in set(sources))
    root = os.path.commonpath([path.absolute().parent for path in sources]) if sources else ""
    return {
        path.name if names[path.name] == 1 else os.path.relpath(path.absolute(), root): checksum(path)
        for path in sources
    }


def _filter(
    config: PrepareConfig,
    raw: RawData,
    table: InteractionTable,
    num_users: int,
    catalogue: Catalogue,
    scratch: Scratch,
    note: Say,
) -> tuple[InteractionTable, np.ndarray, np.ndarray, dict[str, int]]:
    """The interactions that stay, sorted by (user, item); the old rows of the users and items that stay; counts."""
    num_items = len(catalogue.ids)
    unique = drop_duplicates(table, num_users, scratch)
    heavy = unique if raw.min_weight is None else drop_light(unique, raw.min_weight, scratch)
    core = k_core(heavy, config.k_core, num_users, num_items, scratch) if config.k_core else heavy
    left_out = {"duplicates": len(table) - len(unique), "k_core_interactions": len(heavy) - len(core)}
    if raw.min_weight is not None:
        left_out["below_min_weight"] = len(unique) - len(heavy)
        note(f"dropped {left_out['below_min_weight']:,} pairs lighter than {raw.min_weight:g}")
    users, items = np.arange(num_users), np.arange(num_items)
    if config.k_core or not raw.ids_are_rows:
        core, users, items = compact(core, num_users, num_items, scratch, catalogue.has_content)
    note(f"{len(users):,} users, {len(items):,} items, {len(core):,} interactions")
    if left_out["duplicates"]:
        note(f"dropped {left_out['duplicates']:,} duplicates")
    if left_out["k_core_interactions"]:
        note(f"dropped {left_out['k_core_interactions']:,} interactions outside the {config.k_core}-core")
    return core, users, items, left_out


def _split(
    config: PrepareConfig, table: InteractionTable, num_users: int, scratch: Scratch, note: Say
) -> dict[str, InteractionTable]:
    codes = split(table, config.split, config.split_shares, num_users, config.seed, scratch, config.cold_share)
    parts = {
        name: scratch.stack(table.take(part).take(codes[part] == code) for part in scratch.blocks(len(table)))
        for name, code in SPLIT_CODES.items()
    }
    note(", ".join(f"{name} {len(part):,}" for name, part in parts.items()))
    num_cold = np.count_nonzero(count(parts["train"].users, num_users) == 0)
    if num_cold:
        note(f"{num_cold:,} users have no training interaction")
    return parts


@contextmanager
def _enough_memory() -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        raise UserError(
            f"prepare needs more memory than there is ({error}); is one of the sizes or ids wrong?"
        ) from error


@contextmanager
def _stage(name: str, say: Say) -> Iterator[Say]:
    notes: list[str] = []
    start = time.perf_counter()
    yield notes.append
    say(f"{name:<14}{time.perf_counter() - start:7.2f} s   {'; '.join(notes)}".rstrip())
