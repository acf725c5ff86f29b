"""Vectors as files of one kind or another, a row a user or item in the order of the store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dualgnn_dist.base.optional import optional
from dualgnn_dist.evaluation.evaluate import candidate_items
from dualgnn_dist.results.recommend.opened_run import OpenedRun

safetensors = optional("safetensors.numpy", "writing safetensors", package="safetensors")
SCORE = "inner product"
Side = Literal["users", "items"]


def write_parquet(folder: Path, opened: OpenedRun) -> None:
    """`users.parquet` and `items.parquet` with `id` and `vector`, and what else is known of a row."""
    write_table(folder, opened, "users", {"vector": _lists(opened.learned.users), **opened.learned.columns})
    write_table(folder, opened, "items", {"vector": _lists(opened.learned.items), "rankable": _is_rankable(opened)})


def write_npy(folder: Path, opened: OpenedRun) -> None:
    """`users.npy` and `items.npy`, float32 [n, d], and the ids."""
    for side in ("users", "items"):
        np.save(folder / f"{side}.npy", getattr(opened.learned, side), allow_pickle=False)
    write_ids(folder, opened)


def write_safetensors(folder: Path, opened: OpenedRun) -> None:
    """`vectors.safetensors` with `users` and `items`, float32 [n, d], and the ids.

    Raises:
        UserError: safetensors is not installed.
    """
    tensors = {side: np.ascontiguousarray(getattr(opened.learned, side)) for side in ("users", "items")}
    safetensors.save_file(tensors, str(folder / "vectors.safetensors"), metadata={"score": SCORE})
    write_ids(folder, opened)


def write_ids(folder: Path, opened: OpenedRun) -> None:
    """`users.parquet` and `items.parquet` with `id`, and of items whether the model can rank them."""
    write_table(folder, opened, "users", {})
    write_table(folder, opened, "items", {"rankable": _is_rankable(opened)})


def write_table(folder: Path, opened: OpenedRun, side: Side, columns: Mapping[str, Any]) -> None:
    """One side's ids and columns, a row each; the schema's metadata says what the score is."""
    table = pa.table({"id": opened.store.ids(side), **{name: pa.array(values) for name, values in columns.items()}})
    pq.write_table(table.replace_schema_metadata({"score": SCORE}), folder / f"{side}.parquet")


def rankable_rows(opened: OpenedRun) -> np.ndarray:
    """The rows of the items that the model can rank, int64 ascending."""
    rows = candidate_items(opened.store, opened.rankable)
    return np.arange(len(opened.learned.items)) if rows is None else rows


def _is_rankable(opened: OpenedRun) -> np.ndarray:
    is_rankable = np.zeros(len(opened.learned.items), dtype=bool)
    is_rankable[rankable_rows(opened)] = True
    return is_rankable


def _lists(vectors: np.ndarray) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(vectors).reshape(-1)), vectors.shape[1])
