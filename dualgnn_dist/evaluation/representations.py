"""What ranking needs of a model, and the Arrow files it is kept in: a row a user or item, beside it its raw id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from dualgnn_dist.base.storage.files import written_whole
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.schema import checksum

ITEMS_FILE = "items.arrow"
WEIGHT_PREFIX = "weight_"  # of the columns that hold how users weigh the modalities


def users_file(rank: int, num_workers: int) -> str:
    """The name of the file in which one worker's users lie."""
    return f"users-{rank:05d}-of-{num_workers:05d}.arrow"


class Exported(NamedTuple):
    """What a file holds, views of the mapped file."""

    rows: np.ndarray  # int64 [n]
    ids: pa.Array  # [n]
    vectors: np.ndarray  # float32 [n, d]
    columns: dict[str, np.ndarray]  # float32 [n] by name


def write(
    path: Path,
    rows: np.ndarray,
    ids: pa.Array,
    vectors: np.ndarray,
    columns: Mapping[str, np.ndarray] | None = None,
    identity: Mapping[str, str] | None = None,
) -> None:
    """Writes columns `row` int64, `id` (as in the raw data), `vector` FixedSizeList<float32>[d], and any others.

    The file appears whole.

    Args:
        rows: int64 [n].
        ids: [n].
        vectors: float32 [n, d].
        columns: name -> float32 [n].
        identity: whose vectors they are, such as {"run": "3f9c..", "model": "dualgnn"}.
    """
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    vector = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    others = {name: pa.array(np.ascontiguousarray(values)) for name, values in (columns or {}).items()}
    batch = pa.RecordBatch.from_pydict(
        {"row": pa.array(rows), "id": ids, "vector": vector, **others}, metadata=dict(identity or {})
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        written_whole(path) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, batch.schema) as file,
    ):
        file.write_batch(batch)


def read(path: Path) -> Exported:
    """The inverse of `write`.

    Raises:
        OSError, ValueError: it cannot be read, or is not what `write` writes.
    """
    try:
        with pa.memory_map(str(path)) as source:
            batch = pa.ipc.open_file(source).get_batch(0)
        batch.validate(full=True)  # before anything follows its offsets
        others = [name for name in batch.schema.names if name not in ("row", "id", "vector")]
        vector = batch["vector"].cast(pa.list_(pa.float32(), batch["vector"].type.list_size))
        columns = {name: batch[name].cast(pa.float32()).to_numpy() for name in others}
        vectors = vector.values.to_numpy(zero_copy_only=True).reshape(len(vector), vector.type.list_size)
        return Exported(batch["row"].cast(pa.int64()).to_numpy(), batch["id"], vectors, columns)
    except (pa.ArrowException, AttributeError, KeyError) as error:
        raise ValueError(str(error)) from error


def identity_of(path: Path) -> dict[str, str]:
    """Whose vectors a file says that it holds; empty where it does not say so.

    Raises:
        OSError, ValueError: it cannot be read.
    """
    try:
        with pa.memory_map(str(path)) as source:
            metadata = pa.ipc.open_file(source).schema.metadata or {}
    except pa.ArrowException as error:  # not all of them are ValueErrors
        raise ValueError(str(error)) from error
    return {key.decode(errors="replace"): value.decode(errors="replace") for key, value in metadata.items()}


@dataclass(frozen=True)
class Representations:
    """What ranking needs.

    Args:
        user_rows: int64 [n], this worker's users: those with `row % size == rank`, ascending.
        users: float32 [n, d].
        items: float32 [I, d], the same on every worker.
        modality_weights: float32 [n, M], how this worker's users weigh the modalities; None where a model has no such
            weights. Ranking does not need it, people look at it.
    """

    user_rows: Tensor
    users: Tensor
    items: Tensor
    modality_weights: Tensor | None = None


def export(
    folder: Path,
    representations: Representations,
    modalities: tuple[str, ...],
    store: Store,
    world: World,
    identity: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Every worker writes its users with their weights of the modalities, rank 0 the items; collective.

    Args:
        identity: whose they are, see `write`.

    Returns:
        The checksum of every file by its name.
    """
    rows = representations.user_rows.numpy()
    columns = {}
    if representations.modality_weights is not None:
        weights = representations.modality_weights.cpu().numpy()
        columns = {f"{WEIGHT_PREFIX}{modality}": weights[:, m] for m, modality in enumerate(modalities)}
    vectors = representations.users.cpu().numpy()
    written = [users_file(world.rank, world.size)]
    write(folder / written[0], rows, store.ids("users", rows), vectors, columns, identity)
    if world.is_main:
        rows = torch.arange(len(representations.items)).numpy()
        written.append(ITEMS_FILE)
        write(
            folder / ITEMS_FILE, rows, store.ids("items", rows), representations.items.cpu().numpy(), identity=identity
        )
    parts = world.gather_texts(json.dumps({name: checksum(folder / name) for name in written}))
    return {name: value for part in parts for name, value in json.loads(part).items()}
