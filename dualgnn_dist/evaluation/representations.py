"""Representations as Arrow files: one row a user or item, its raw id beside its row index, perhaps more columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa


class Exported(NamedTuple):
    """What a file holds, views of the mapped file."""

    rows: np.ndarray  # int64 [n]
    ids: pa.Array  # [n]
    vectors: np.ndarray  # float32 [n, d]
    columns: dict[str, np.ndarray]  # float32 [n] by name


def write(
    path: Path, rows: np.ndarray, ids: pa.Array, vectors: np.ndarray, columns: Mapping[str, np.ndarray] | None = None
) -> None:
    """Writes columns `row` int64, `id` (as in the raw data), `vector` FixedSizeList<float32>[d], and any others.

    The file appears whole: it is written under another name first.

    Args:
        rows: int64 [n].
        ids: [n].
        vectors: float32 [n, d].
        columns: name -> float32 [n].
    """
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    vector = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    others = {name: pa.array(np.ascontiguousarray(values)) for name, values in (columns or {}).items()}
    batch = pa.RecordBatch.from_pydict({"row": pa.array(rows), "id": ids, "vector": vector, **others})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as file:
        file.write_batch(batch)
    temporary.replace(path)


def read(path: Path) -> Exported:
    """The inverse of `write`."""
    with pa.memory_map(str(path)) as source:
        batch = pa.ipc.open_file(source).get_batch(0)
    vector = batch["vector"]
    vectors = vector.values.to_numpy(zero_copy_only=True).reshape(len(vector), vector.type.list_size)
    columns = {name: batch[name].to_numpy() for name in batch.schema.names if name not in ("row", "id", "vector")}
    return Exported(batch["row"].to_numpy(), batch["id"], vectors, columns)
