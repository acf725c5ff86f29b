"""`Store`: what trainers, samplers and evaluators read. Opening reads the manifest and the shards' footers, the rest is
mapped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch

from dualgnn_dist.base.csr import ShardedCSR
from dualgnn_dist.base.errors import UserError, nearest
from dualgnn_dist.base.screen import say_aside
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store import id_lookup
from dualgnn_dist.data.store.checks import ContentCheck
from dualgnn_dist.data.store.columns import (
    DenseColumn,
    FeatureColumn,
    ShardedArray,
    TokenColumn,
    csr_of_lists,
    view_of,
)
from dualgnn_dist.data.store.schema import SPLITS, Manifest, load_manifest
from dualgnn_dist.data.store.shards import map_shard, refuse_layout
from dualgnn_dist.data.store.tables import refuse_manifest

DTYPES: dict[str, np.dtype[Any]] = {
    "user": np.dtype(np.int32),
    "item": np.dtype(np.int32),
    "timestamp": np.dtype(np.int64),
}
_SECONDS_BETWEEN_MEETINGS = 10.0


@dataclass(frozen=True)
class Interactions:
    """One split's columns: users and items int32, timestamps int64 where the raw data had them."""

    users: ShardedArray
    items: ShardedArray
    timestamps: ShardedArray | None

    def __len__(self) -> int:
        return len(self.users)


HidesContent = Callable[[str, np.ndarray], np.ndarray]


class Store:
    """A store's folder. Threads may share it; pickled, it travels as its path and is opened again.

    Args:
        hides: (modality, item rows [n]) -> bool [n], whose content `features` hides as if the items missed it.

    What is asked for is read whole first, unless this node has read it before, and UserError names a damaged file.
    Vectors are read meanwhile where they are many: `gather` raises then, and `wait_until_checked` at the latest.

    Graphs are `ShardedCSR` views on the mapped files: `user_item` and `item_user` hold the TRAINING interactions with
    sorted rows, so row lengths are global degrees; `user_cooccurrence` holds at most K_store neighbours a user
    with their counts, heaviest first, ties by the smaller index.
    """

    def __init__(self, path: Path, manifest: Manifest, hides: HidesContent | None = None) -> None:
        self.path = path
        self.manifest = manifest
        self._hides = hides
        self._check = ContentCheck(path, manifest)
        self._opened: dict[str, Any] = {}
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: str | Path, hides: HidesContent | None = None) -> Store:
        """Opens a folder in milliseconds: the manifest, sizes and footers of the files. See the class for `hides`.

        Raises:
            UserError: not a store, an unfinished one, one of another format version, or a file is missing, cut off or
                not what the manifest says.
        """
        path = Path(path).absolute()  # it travels to processes with other working directories
        manifest = load_manifest(path)
        refuse_manifest(manifest, str(path))
        refuse_layout(path, manifest)
        return cls(path, manifest, hides)

    def __reduce__(self) -> tuple[Any, ...]:
        return Store.open, (self.path, self._hides)

    def verify(self) -> None:
        """Reads every byte, whatever this node has read before.

        Raises:
            UserError: naming a file that is not what was written.
        """
        for table in self.manifest.tables:
            self._check.now(table, anew=True)

    def wait_until_checked(self, world: World | None = None) -> None:
        """Returns once all that was asked for so far has been read. Nothing computed from it is published before.

        Args:
            world: waits for the checks of all its workers, who meet so often that none takes another for dead.

        Raises:
            UserError: naming a file that is not what was written.
        """
        world, waited = world or World(), 0
        while True:
            is_done = self._check.wait(_SECONDS_BETWEEN_MEETINGS)
            if int(world.sum(torch.tensor([int(not is_done)], device=world.device))) == 0:
                return
            waited += 1
            if waited % 6 == 1 and not is_done:
                say_aside(f"before results are written {self.path} is read once on this node")

    @property
    def user_item(self) -> ShardedCSR:
        """Training items of every user."""
        return self._csr("graph/user_item")

    @property
    def item_user(self) -> ShardedCSR:
        """Training users of every item."""
        return self._csr("graph/item_user")

    @property
    def user_cooccurrence(self) -> ShardedCSR:
        """Neighbours of every user that share training items with it, and how many."""
        return self._csr("graph/user_cooccurrence")

    def interactions(self, split: str) -> Interactions:
        """The columns of `train` (in the random order of its shards), `valid` or `test` (sorted by user, then item)."""
        assert split in SPLITS, split
        return self._once(f"interactions/{split}", self._interactions)

    def held_out(self, split: str, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The items of ascending int32 `users` in `valid` or `test`: offsets int64 [n + 1], items int32 sorted."""
        assert split in ("valid", "test"), split
        column, items = self._once(f"held_out/{split}", lambda _: self._held_out(split))
        starts = np.searchsorted(column, users, side="left")
        lengths = np.searchsorted(column, users, side="right") - starts
        offsets = np.zeros(len(users) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        positions = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return offsets, items[positions]

    def features(self, name: str) -> FeatureColumn:
        """One modality's column.

        Raises:
            UserError: the store has no such modality.
        """
        if name not in self.manifest.modalities:
            raise UserError(f"{self.path} has no modality {name!r}{nearest(name, self.manifest.modalities)}")
        return self._once(f"features/{name}", lambda table: self._features(name, table))

    def ids(self, kind: Literal["users", "items"], rows: np.ndarray | None = None) -> pa.Array:
        """Raw ids (int64 or string) of the given row indices, or of every row."""
        column = self._ids(kind)
        taken = column if rows is None else column.take(pa.array(rows))
        return taken.combine_chunks()

    def find_id(self, kind: Literal["users", "items"], text: str) -> int | None:
        """The row of the user or item whose raw id is this text; None where there is none."""
        return id_lookup.find(self._ids(kind), text)

    def find_ids(self, kind: Literal["users", "items"], texts: Sequence[str]) -> np.ndarray:
        """The rows of the users or items whose raw ids are these texts, int64 [n]; -1 where there is none."""
        return id_lookup.find_all(self._ids(kind), texts)

    def nearest_id(self, kind: Literal["users", "items"], text: str) -> str | None:
        """The raw id nearest to one that is not there, see `id_lookup.nearest`; None where there are no ids."""
        return id_lookup.nearest(self._ids(kind), text)

    def _ids(self, kind: str) -> pa.ChunkedArray:
        return self._once(f"ids/{kind}", lambda table: pa.chunked_array([b["id"] for b in self._batches(table)]))

    def _csr(self, table: str) -> ShardedCSR:
        return self._once(table, self._open_csr)

    def _open_csr(self, table: str) -> ShardedCSR:
        batches = self._batches(table)
        counts = [batch["counts"] for batch in batches] if "counts" in batches[0].schema.names else None
        return csr_of_lists([batch["neighbors"] for batch in batches], self.manifest.rows_per_shard, counts)

    def _interactions(self, table: str) -> Interactions:
        batches = self._batches(table)

        def column(name: str) -> ShardedArray:
            shards = [view_of(batch[name]) for batch in batches]
            return ShardedArray(shards, self.manifest.rows_per_shard, DTYPES[name])

        timed = bool(batches) and "timestamp" in batches[0].schema.names
        return Interactions(column("user"), column("item"), column("timestamp") if timed else None)

    def _held_out(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        interactions = self.interactions(split)
        return interactions.users.to_numpy(), interactions.items.to_numpy()

    def _features(self, name: str, table: str) -> FeatureColumn:
        info = self.manifest.modalities[name]
        column = DenseColumn if info.kind == "dense" else TokenColumn
        hides = None if self._hides is None else partial(self._hides, name)
        shards = [batch["feature"] for batch in self._batches(table, may_wait=info.kind == "dense")]
        return column(info, self.manifest.rows_per_shard, shards, hides, self._check.refuse_damage)

    def _batches(self, table: str, may_wait: bool = False) -> list[pa.RecordBatch]:
        check = self._check.later if may_wait else self._check.now
        check(table)
        return [map_shard(self.path / shard.file) for shard in self.manifest.table(table)]

    def _once(self, table: str, make: Callable[[str], Any]) -> Any:
        # One object a table for all threads: kernels hold raw addresses, so none in use may ever be replaced.
        with self._lock:
            if table not in self._opened:
                self._opened[table] = make(table)
            return self._opened[table]
