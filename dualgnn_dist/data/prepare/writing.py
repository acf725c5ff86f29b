"""Interactions and graphs as tables of the store, shard after shard."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from dualgnn_dist.base.csr import ShardedCSR
from dualgnn_dist.base.kernels import seconds_compiling
from dualgnn_dist.base.screen import CountProgress
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.cooccurrence.blocks import BlockMap
from dualgnn_dist.data.prepare.cooccurrence.graph import cooccurrence
from dualgnn_dist.data.prepare.counting_sort import group, row_offsets
from dualgnn_dist.data.prepare.ids import IdTable
from dualgnn_dist.data.prepare.interactions import InteractionTable
from dualgnn_dist.data.prepare.scratch import Scratch
from dualgnn_dist.data.store.writer import StoreWriter

Say = Callable[[str], None]


def write_ids(writer: StoreWriter, user_ids: IdTable, users: np.ndarray, item_ids: IdTable, items: np.ndarray) -> None:
    """The raw ids of the rows that stay, in their order."""
    for name, ids, rows in (("users", user_ids, users), ("items", item_ids, items)):
        writer.append_rows(f"ids/{name}", {"id": ids.ids.gather(rows).to_arrow()})


def write_interactions(writer: StoreWriter, parts: dict[str, InteractionTable], seed: int, scratch: Scratch) -> None:
    """Training rows in one random order, so that every shard is a random sample; the others stay sorted."""
    order = scratch.permutation(len(parts["train"]), np.random.default_rng(seed))
    for name, part in parts.items():
        for start in range(0, len(part), writer.rows_per_shard):
            rows = slice(start, start + writer.rows_per_shard)
            shard = part.take(order[rows] if name == "train" else rows)
            columns = {"user": shard.users, "item": shard.items}
            if shard.timestamps is not None:
                columns["timestamp"] = shard.timestamps
            writer.append(f"interactions/{name}", columns)


def write_graphs(
    writer: StoreWriter, train: InteractionTable, num_users: int, num_items: int, scratch: Scratch
) -> tuple[ShardedCSR, ShardedCSR]:
    """Both directions of the training interactions, which come sorted."""
    item_offsets = row_offsets(train.items, num_items)
    users = group(train.users, train.items, item_offsets, scratch.empty(len(train), np.int32))
    user_item = ShardedCSR.from_arrays(row_offsets(train.users, num_users), train.items)
    item_user = ShardedCSR.from_arrays(item_offsets, users)
    for name, csr in (("user_item", user_item), ("item_user", item_user)):
        offsets, neighbors = csr.offsets[0], csr.neighbors[0]
        for start in range(0, csr.num_rows, writer.rows_per_shard):
            part = offsets[start : start + writer.rows_per_shard + 1]
            rows = pa.LargeListArray.from_arrays(part - part[0], neighbors[part[0] : part[-1]])
            writer.append(f"graph/{name}", {"neighbors": rows})
    return user_item, item_user


def write_cooccurrence(
    writer: StoreWriter,
    config: PrepareConfig,
    user_item: ShardedCSR,
    item_user: ShardedCSR,
    block_map: BlockMap | None,
    say: Say,
    note: Say,
) -> int:
    """Writes the graph; returns how many items were too popular to be counted."""
    num_edges = 0
    for offsets, neighbors, counts in cooccurrence(
        user_item,
        item_user,
        config.num_co_users,
        rows_per_shard=config.rows_per_shard,
        max_item_degree=config.max_item_degree,
        num_threads=config.num_threads or len(os.sched_getaffinity(0)),
        block_map=block_map,
        progress=CountProgress(say, "co-occurrence", user_item.num_rows, "users", seconds_compiling).at,
    ):
        columns = {"neighbors": neighbors, "counts": counts}
        lists = {name: pa.LargeListArray.from_arrays(offsets, values) for name, values in columns.items()}
        writer.append("graph/user_cooccurrence", lists)
        num_edges += len(neighbors)
    note(f"{num_edges:,} edges")
    num_popular = 0
    if config.max_item_degree is not None:
        num_popular = int(np.count_nonzero(item_user.degrees() > config.max_item_degree))
        note(f"{num_popular:,} items with more than {config.max_item_degree:,} users were not counted")
    return num_popular
