"""A checkpoint read: each worker checks the files that hold what it needs, and takes its rows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.world import World
from dualgnn_dist.embeddings.sharded_table import ShardedTable
from dualgnn_dist.training.checkpoint.manifest import (
    UNCHECKED_VERSION,
    Damaged,
    Manifest,
    TableInfo,
    check_written_by,
    describe,
    identity_of,
)
from dualgnn_dist.training.checkpoint.tensors import DENSE, check_file, read_tensors, shard_identity, shard_name
from dualgnn_dist.training.checkpoint.together import together


@dataclass(frozen=True)
class Checkpoint:
    """What `load` gives back beside the rows it put into the tables."""

    dense: dict[str, Any]
    dense_optimizer: dict[str, Any]
    progress: dict[str, Any]


def check(folder: Path, world: World) -> Manifest:
    """Reads every byte that this worker will load and compares it with what was written; no communication.

    Of a checkpoint of before there were checksums it is checked that the files can be read and have the right shapes.

    Raises:
        UserError: there is no checkpoint, or one of another format version.
        Damaged: a file is missing, or not what was written.
    """
    manifest = describe(folder)
    for name, identity in _files_of(manifest, world).items():
        if manifest.format_version != UNCHECKED_VERSION:
            if name not in manifest.files:
                raise Damaged(f"{folder} is damaged: its manifest knows no file {name}; take another checkpoint")
            check_file(folder / name, manifest.files[name], identity)
    for name, table in manifest.tables.items():
        for shard in _shards_for(world, manifest.num_shards):
            _check_shapes(folder, name, table, shard, manifest)
    _read_dense(folder, manifest, "meta")
    return manifest


def check_there(folder: Path) -> Manifest:
    """Looks whether every file is there with its length, and reads none but the manifest.

    Raises:
        UserError: there is no checkpoint, or one of another format version.
        Damaged: the manifest is not what was written, or a file is missing or of another length.
    """
    manifest = describe(folder)
    for name in _files_of(manifest, World()):  # one worker alone reads all of them
        path, written = folder / name, manifest.files.get(name)
        if not path.is_file():
            raise Damaged(f"the checkpoint's file {path} is missing; take another checkpoint")
        if written is not None and path.stat().st_size != written.bytes:
            raise Damaged(f"the checkpoint's file {path} has another length; take another checkpoint")
    return manifest


def check_together(folder: Path, world: World) -> Manifest:
    """`check` on every worker; collective.

    Raises:
        UserError: on every worker, if one of them refuses; `Damaged` where that was one.
    """
    checked: list[Manifest] = []

    def work() -> str:
        checked.append(check(folder, world))
        return ""

    together(world, work)
    return checked[0]


def load(
    folder: Path,
    world: World,
    *,
    tables: Mapping[str, ShardedTable],
    written_by: Mapping[str, str] | None = None,
    is_checked: bool = False,
) -> Checkpoint:
    """Fills `tables` with this worker's rows and gives back the rest, on this worker's device; no communication.

    The number of workers may differ from the one that saved. Nothing is filled if anything is refused.

    Args:
        written_by: what the state must belong to, as `save` was told; None takes any.
        is_checked: `check` was called already.

    Raises:
        UserError: no complete checkpoint there, one of another format version, one that belongs to something else than
            `written_by`, or one of other tables than `tables`.
        Damaged: see `check`.
    """
    check_written_by(folder, written_by or {})
    manifest = describe(folder) if is_checked else check(folder, world)
    _check_tables(folder, manifest, tables)
    weights = _read_dense(folder, manifest, world.device)
    for name, table in tables.items():
        rows = read_rows(folder, name, manifest.num_shards, table.row_ids.cpu(), identity_of(manifest))
        table.load_state_dict({**rows, "step": manifest.tables[name].step})
    return Checkpoint(weights["dense"], weights["dense_optimizer"], manifest.progress)


def read_rows(
    folder: Path, table: str, num_shards: int, rows: torch.Tensor, identity: Mapping[str, str] | None = None
) -> dict[str, torch.Tensor]:
    """The state of any rows of a table, picked from its memory-mapped shards.

    Args:
        rows: int64 [n], global row indices.
        identity: of the checkpoint; its files must be of it.

    Returns:
        name -> CPU tensor [n, ...], in the order of `rows`.

    Raises:
        Damaged: a shard is missing or cannot be read.
    """
    picked: dict[str, torch.Tensor] = {}
    shard_of_rows = rows % num_shards
    for shard in shard_of_rows.unique().tolist() or [0]:
        path = folder / shard_name(table, shard, num_shards)
        tensors = read_tensors(path, shard_identity(identity or {}, table, shard, num_shards))
        here = (shard_of_rows == shard).nonzero().squeeze(1)
        for name, tensor in tensors.items():
            if name not in picked:
                picked[name] = tensor.new_empty((len(rows), *tensor.shape[1:]))
            picked[name][here] = tensor[rows[here] // num_shards]
    return picked


def _shards_for(world: World, num_shards: int) -> list[int]:
    """Those that hold rows of this worker: its own where as many workers wrote."""
    return sorted({row % num_shards for row in range(world.rank, world.size * num_shards, world.size)})


def _files_of(manifest: Manifest, world: World) -> dict[str, dict[str, str]]:
    """The files that this worker reads, and what each must say that it is."""
    identity, num_shards = identity_of(manifest), manifest.num_shards
    shards = {
        shard_name(table, shard, num_shards): shard_identity(identity, table, shard, num_shards)
        for table in manifest.tables
        for shard in _shards_for(world, num_shards)
    }
    return {DENSE: identity, **shards}


def _read_dense(folder: Path, manifest: Manifest, device: torch.device | str) -> dict[str, Any]:
    weights = read_tensors(folder / DENSE, identity_of(manifest), device)
    if not (isinstance(weights.get("dense"), dict) and isinstance(weights.get("dense_optimizer"), dict)):
        raise Damaged(f"the checkpoint's file {folder / DENSE} is damaged: it lacks weights; take another checkpoint")
    return weights


def _check_shapes(folder: Path, name: str, table: TableInfo, shard: int, manifest: Manifest) -> None:
    path = folder / shard_name(name, shard, manifest.num_shards)
    tensors = read_tensors(path, shard_identity(identity_of(manifest), name, shard, manifest.num_shards))
    num_rows, width = len(range(shard, table.num_rows, manifest.num_shards)), sum(table.parts.values())
    wanted: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
        "values": ((num_rows, width), torch.float32),
        "first_moment": ((num_rows, width), torch.float32),
        "second_moment": ((num_rows, width), torch.float32),
        "last_step": ((num_rows,), torch.int32),
    }
    held = {key: (tuple(value.shape), value.dtype) for key, value in tensors.items() if isinstance(value, torch.Tensor)}
    if held != wanted or len(held) != len(tensors):
        raise Damaged(
            f"the checkpoint's file {path} is damaged: it does not hold {num_rows:,} rows of {width} columns with "
            "their moments; take another checkpoint"
        )


def _check_tables(folder: Path, manifest: Manifest, tables: Mapping[str, ShardedTable]) -> None:
    author = ", ".join(f"{key} {value!r}" for key, value in manifest.written_by.items()) or "another run"
    hint = f"; the checkpoint was written by {author}: load it with the config of that run"
    if manifest.tables.keys() != tables.keys():
        there, wanted = (", ".join(sorted(names)) or "none" for names in (manifest.tables, tables))
        raise UserError(f"{folder} holds the tables {there}, this run needs {wanted}{hint}")
    for name, table in tables.items():
        written = manifest.tables[name]
        if written.num_rows != table.num_rows:
            raise UserError(
                f"{folder}: table {name!r} has num_rows {written.num_rows}, this run needs {table.num_rows}{hint}"
            )
        if list(written.parts.items()) != list(table.part_widths.items()):  # their order is that of the columns
            raise UserError(
                f"{folder}: table {name!r} has parts {written.parts}, this run needs {table.part_widths}{hint}"
            )
