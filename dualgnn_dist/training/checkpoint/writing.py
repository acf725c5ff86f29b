"""A checkpoint written by all workers: whole, or refused on every one of them with the older ones still there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from dualgnn_dist.base.config import plain
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.storage import space
from dualgnn_dist.base.world import World
from dualgnn_dist.embeddings.sharded_table import ShardedTable
from dualgnn_dist.training.checkpoint import manifest as manifests
from dualgnn_dist.training.checkpoint.folders import partial, put_in_place, remove
from dualgnn_dist.training.checkpoint.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    FileInfo,
    Manifest,
    TableInfo,
    identity_of,
)
from dualgnn_dist.training.checkpoint.tensors import DENSE, write_shard, write_tensors
from dualgnn_dist.training.checkpoint.together import together


def save(
    folder: Path,
    world: World,
    *,
    dense: dict[str, Any],
    dense_optimizer: dict[str, Any],
    tables: Mapping[str, ShardedTable],
    progress: dict[str, Any],
    written_by: Mapping[str, str] | None = None,
) -> Path:
    """Writes a checkpoint; collective over the workers, all of which have the same `folder`.

    A checkpoint that is there already is replaced. A run that is killed on the way leaves the old one, never half of a
    new one; in the instant between the two last renames it leaves the old one as `<folder>.old`.

    Args:
        dense, dense_optimizer: state dicts; rank 0's are written.
        progress: plain JSON values: epoch, step, best metric, ...
        written_by: what the state belongs to, such as {"model": "dualgnn", "store": "9f3c..."}; `load` compares it.

    Returns:
        `folder`.

    Raises:
        UserError: on every worker alike, if one of them cannot write; what was written of this one is gone.
    """
    written = partial(folder)
    if world.is_main:
        remove(written)
    world.barrier()
    described = Manifest(
        format_version=FORMAT_VERSION,
        num_shards=world.size,
        written_by=dict(written_by or {}),
        tables={name: _describe_table(table) for name, table in tables.items()},
        progress=progress,
    )

    def write_own() -> str:
        dense_state = {"dense": dense, "dense_optimizer": dense_optimizer} if world.is_main else None
        return json.dumps(plain(_write_own(written, world, described, tables, dense_state)))

    def finish() -> str:
        if world.is_main:
            with _refused_in_a_sentence(written, 0):
                manifests.write(written / MANIFEST, whole)
                put_in_place(written, folder)
        return ""

    try:
        parts = together(world, write_own)
        files = {name: FileInfo(**info) for part in parts for name, info in json.loads(part).items()}
        whole = Manifest(**{**vars(described), "files": files})
        together(world, finish)
    except UserError:
        remove(written)  # every worker: a run kept at a URL has a folder a node
        raise
    return folder


def _write_own(
    written: Path,
    world: World,
    described: Manifest,
    tables: Mapping[str, ShardedTable],
    dense_state: Mapping[str, Any] | None,
) -> dict[str, FileInfo]:
    """This worker's rows; of rank 0 the dense weights too, which come last."""
    states = {name: table.state_dict() for name, table in tables.items()}
    identity, files = identity_of(described), {}
    with _refused_in_a_sentence(written, _num_bytes(states) + _num_bytes(dense_state or {})):
        written.mkdir(parents=True, exist_ok=True)  # by every worker: a run kept at a URL has a folder a node
        for name, state in states.items():
            files.update(write_shard(written, name, world.rank, world.size, state, identity))
        if dense_state is not None:
            files[DENSE] = write_tensors(written / DENSE, dense_state, identity)
    return files


@contextmanager
def _refused_in_a_sentence(written: Path, num_bytes: int) -> Iterator[None]:
    """Around what writes `num_bytes` there.

    Raises:
        UserError: there is no room for them, or they cannot be written.
    """
    advice = "make room there and go on with --resume; the older checkpoints are still there"
    free = space.free_bytes(written)
    if free is not None and free < num_bytes:
        raise UserError(
            f"the checkpoint {written} cannot be written: {space.megabytes(num_bytes)} are needed and "
            f"{space.megabytes(free)} are free; {advice}"
        )
    try:
        with space.explained(written, num_bytes or None, advice):
            yield
    except OSError as error:
        raise UserError(
            f"the checkpoint {written} cannot be written ({error.strerror or error}); the older ones are still there"
        ) from error


def _num_bytes(values: Any) -> int:
    """Of all tensors in nested mappings and lists."""
    if isinstance(values, torch.Tensor):
        return values.numel() * values.element_size()
    if isinstance(values, Mapping):
        return sum(_num_bytes(value) for value in values.values())
    return sum(_num_bytes(value) for value in values) if isinstance(values, (list, tuple)) else 0


def _describe_table(table: ShardedTable) -> TableInfo:
    return TableInfo(num_rows=table.num_rows, parts=table.part_widths, step=table.step)
