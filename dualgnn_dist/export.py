"""Representations as Arrow files: one row a user or item, its raw id beside its row index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa


def write(path: Path, rows: np.ndarray, ids: pa.Array, vectors: np.ndarray) -> None:
    """Writes columns `row` int64, `id` (as in the raw data) and `vector` FixedSizeList<float32>[d].

    The file appears whole: it is written under another name first.

    Args:
        rows: int64 [n].
        ids: [n].
        vectors: float32 [n, d].
    """
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    vector = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    batch = pa.RecordBatch.from_arrays([pa.array(rows), ids, vector], ["row", "id", "vector"])
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as file:
        file.write_batch(batch)
    temporary.replace(path)


def read(path: Path) -> tuple[np.ndarray, pa.Array, np.ndarray]:
    """The inverse of `write`: rows, ids and vectors; the vectors are a view of the mapped file."""
    with pa.memory_map(str(path)) as source:
        batch = pa.ipc.open_file(source).get_batch(0)
    vector = batch["vector"]
    vectors = vector.values.to_numpy(zero_copy_only=True).reshape(len(vector), vector.type.list_size)
    return batch["row"].to_numpy(), batch["id"], vectors
