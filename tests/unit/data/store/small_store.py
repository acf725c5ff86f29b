"""A store of five users and seven items, written shard by shard: what the tests of reading and writing share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.schema import ModalityInfo
from dualgnn_dist.data.store.writer import StoreWriter

ROWS = 3  # rows a shard: the tables below have several shards, the last one short
VECTORS = np.arange(14, dtype=np.float16).reshape(7, 2)
PRESENT = np.array([True, True, False, True, True, True, False])
TOKENS = [[4, 0], None, [], [1, 2, 3], [0], None, [4]]
NEIGHBORS = [[1, 4], [], [0], [2, 3, 4], [1]]
USERS_OF_ITEMS = [[2], [0, 4], [3], [3], [0, 3], [], []]
USERS = np.array([0, 0, 1, 3, 3, 3, 4], dtype=np.int32)
ITEMS = np.array([2, 5, 1, 0, 2, 6, 5], dtype=np.int32)
TIMES = np.arange(7, dtype=np.int64) * 10**12


def write(path: Path, rows_per_shard: int = ROWS, overwrite: bool = False, times: bool = True) -> Store:
    vectors = np.where(PRESENT[:, None], VECTORS, np.float16(0))
    dense = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 2, mask=pa.array(~PRESENT))
    lists = pa.array(NEIGHBORS, pa.large_list(pa.int32()))
    counts = pa.array([[10 + n for n in row] for row in NEIGHBORS], pa.large_list(pa.int32()))
    with StoreWriter(path, rows_per_shard, overwrite) as writer:
        writer.append_rows("ids/users", {"id": pa.array(["a", "b", "c", "d", "e"])})
        writer.append_rows("ids/items", {"id": np.arange(100, 107)})
        for split in ("train", "valid", "test"):
            columns = {"user": USERS, "item": ITEMS} | ({"timestamp": TIMES} if times else {})
            writer.append_rows(f"interactions/{split}", columns)
        writer.append_rows("graph/user_item", {"neighbors": lists})
        writer.append_rows("graph/item_user", {"neighbors": pa.array(USERS_OF_ITEMS, lists.type)})
        writer.append_rows("graph/user_cooccurrence", {"neighbors": lists, "counts": counts})
        writer.append_rows("features/visual", {"feature": dense})
        writer.append_rows("features/visual_2", {"feature": dense})
        writer.append_rows("features/textual", {"feature": pa.array(TOKENS, pa.large_list(pa.int32()))})
        visual = ModalityInfo(kind="dense", dimension=2, dtype="float16", num_present=5)
        textual = ModalityInfo(kind="tokens", dimension=5, dtype="int32", num_present=5)
        writer.commit(
            num_users=5,
            num_items=7,
            num_interactions={"train": 7, "valid": 7, "test": 7},
            modalities={"visual": visual, "visual_2": visual, "textual": textual},
            settings={"k_core": 0},
            sources={"raw.csv": "00"},
        )
    return Store.open(path)
