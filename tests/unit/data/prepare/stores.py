"""What the tests of `prepare` share: a small table, and what a store that was made of it holds, by raw ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dualgnn_dist.base.batch import Feature
from dualgnn_dist.data.prepare.interactions import InteractionTable
from dualgnn_dist.data.store.reader import Store

CSV = """user,item,rating,time,part
1,10,5,100,train
1,20,5,101,valid
1,30,4,102,test
2,10,3,103,0
2,30,5,104,1
2,20,5,105,2
3,20,1,106,train
"""
OPTIONS = {"split_column": "part"}
VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)


def write_table(folder: Path) -> None:
    """The table, and a modality of its three items."""
    (folder / "raw.csv").write_text(CSV)
    pl.DataFrame({"item": [30, 10, 20], "v": VECTORS.tolist()}).write_parquet(folder / "visual.parquet")


def pairs(store: Store, split: str) -> list[tuple[Any, Any]]:
    """The interactions of a split by their raw ids."""
    part = store.interactions(split)
    users = store.ids("users", part.users.to_numpy()).to_pylist()
    return sorted(zip(users, store.ids("items", part.items.to_numpy()).to_pylist(), strict=True))


def every(store: Store, name: str) -> Feature:
    """One modality of all items."""
    return store.features(name).gather(np.arange(store.manifest.num_items, dtype=np.int32))


def table_of(pairs: list[tuple[int, int]]) -> InteractionTable:
    """(user row, item row) pairs as columns."""
    users, items = np.array(pairs, dtype=np.int32).T
    return InteractionTable(users.copy(), items.copy())


def pairs_of(table: InteractionTable) -> list[tuple[int, int]]:
    """The columns as pairs."""
    return list(zip(table.users.tolist(), table.items.tolist(), strict=True))
