"""The state of a training in shards, written atomically, readable under another number of workers.

    <folder>/checkpoint.json                    written last: a folder without it is no checkpoint
             dense.pt                           dense weights and their optimizer, from rank 0
             <table>-00000-of-00002.pt          one worker's rows of a table with their moments

All workers write into a temporary sibling of the folder, which rank 0 renames when everything is there. So the folder
must lie on storage that every worker sees, or a `RunAtUrl` must bring the shards together. Row r of a table in W shards
is row `r // W` of shard `r % W`.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.world import World
from dualgnn_dist.embeddings.sharded_table import ShardedTable

FORMAT_VERSION = 1
MANIFEST = "checkpoint.json"


@dataclass(frozen=True)
class Checkpoint:
    """What `load` gives back beside the rows it put into the tables."""

    dense: dict[str, Any]
    dense_optimizer: dict[str, Any]
    progress: dict[str, Any]


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
    """
    written = partial(folder)
    if world.is_main:
        remove(written)
    world.barrier()
    written.mkdir(parents=True, exist_ok=True)  # by every worker: a run kept at a URL has a folder a node
    for name, table in tables.items():
        write_shard(written, name, world.rank, world.size, table.state_dict())
    world.barrier()
    if world.is_main:
        _write_tensors(written / "dense.pt", {"dense": dense, "dense_optimizer": dense_optimizer})
        manifest = {
            "format_version": FORMAT_VERSION,
            "num_shards": world.size,
            "written_by": dict(written_by or {}),
            "tables": {name: _describe_table(table) for name, table in tables.items()},
            "progress": progress,
        }
        _write_manifest(written, manifest)
        _put_in_place(written, folder)
    world.barrier()
    return folder


def load(
    folder: Path, world: World, *, tables: Mapping[str, ShardedTable], written_by: Mapping[str, str] | None = None
) -> Checkpoint:
    """Fills `tables` with this worker's rows and gives back the rest, on this worker's device; no communication.

    The number of workers may differ from the one that saved.

    Args:
        written_by: what the state must belong to, as `save` was told; None takes any.

    Raises:
        UserError: no complete checkpoint there, one of another format version, one that belongs to something else than
            `written_by`, or one of other tables than `tables`.
    """
    manifest = describe(folder)
    check_written_by(folder, written_by or {})
    _check_tables(folder, manifest, tables)
    num_shards = manifest["num_shards"]
    for name, table in tables.items():
        step = manifest["tables"][name]["step"]
        table.load_state_dict({**read_rows(folder, name, num_shards, table.row_ids.cpu()), "step": step})
    weights = _read_tensors(folder / "dense.pt", world.device)
    return Checkpoint(weights["dense"], weights["dense_optimizer"], manifest["progress"])


def describe(folder: Path) -> dict[str, Any]:
    """The manifest: `format_version`, `num_shards`, `written_by`, `tables`, `progress`.

    Raises:
        UserError: no complete checkpoint there, or one of another format version.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except FileNotFoundError:
        if not folder.exists():
            raise UserError(f"there is no checkpoint at {folder}") from None
        raise UserError(
            f"{folder} holds no complete checkpoint: {MANIFEST}, which is written last, is missing. "
            "Delete the folder and take an earlier checkpoint"
        ) from None
    if manifest["format_version"] != FORMAT_VERSION:
        raise UserError(
            f"{folder} has checkpoint format version {manifest['format_version']}, this program reads {FORMAT_VERSION}"
        )
    return manifest


def check_written_by(folder: Path, wanted: Mapping[str, str]) -> None:
    """Refuses a checkpoint of something else: rows of another store fit a table of the same size and mean other users.

    Raises:
        UserError: `save` was told other names, or there is no complete checkpoint.
    """
    written_by = describe(folder)["written_by"]
    for key, value in wanted.items():
        if written_by.get(key) != value:
            raise UserError(
                f"{folder} was written with the {key} {written_by.get(key)!r}, this run has {value!r}; "
                f"load it with the {key} of that run"
            )


def partial(folder: Path) -> Path:
    """Where the workers write the checkpoint `folder` before it is whole."""
    return folder.with_name(folder.name + ".partial")


def exists(folder: Path) -> bool:
    """Whether a complete checkpoint is there."""
    return (folder / MANIFEST).is_file()


def remove(folder: Path) -> None:
    """Deletes a checkpoint, complete or not, if it is there. One worker calls this.

    The manifest goes first, so that a deletion cut short does not leave half a checkpoint that looks whole.
    """
    (folder / MANIFEST).unlink(missing_ok=True)
    if folder.exists():
        shutil.rmtree(folder)


def write_shard(folder: Path, table: str, shard: int, num_shards: int, state: Mapping[str, Any]) -> None:
    """Writes the tensors of one shard's `state`, each [rows of the shard, ...]."""
    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    _write_tensors(_shard_path(folder, table, shard, num_shards), tensors)


def read_rows(folder: Path, table: str, num_shards: int, rows: torch.Tensor) -> dict[str, torch.Tensor]:
    """The state of any rows of a table, picked from its memory-mapped shards.

    Args:
        rows: int64 [n], global row indices.

    Returns:
        name -> CPU tensor [n, ...], in the order of `rows`.

    Raises:
        UserError: a shard is missing or cannot be read.
    """
    picked: dict[str, torch.Tensor] = {}
    for shard in range(num_shards):
        tensors = _read_tensors(_shard_path(folder, table, shard, num_shards))
        here = (rows % num_shards == shard).nonzero().squeeze(1)
        for name, tensor in tensors.items():
            if name not in picked:
                picked[name] = tensor.new_empty((len(rows), *tensor.shape[1:]))
            picked[name][here] = tensor[rows[here] // num_shards]
    return picked


def _shard_path(folder: Path, table: str, shard: int, num_shards: int) -> Path:
    return folder / f"{table}-{shard:05d}-of-{num_shards:05d}.pt"


def _write_tensors(path: Path, value: Any) -> None:
    with path.open("wb") as file:
        torch.save(value, file)
        file.flush()
        os.fsync(file.fileno())


def _read_tensors(path: Path, device: torch.device | str = "cpu") -> Any:
    try:
        return torch.load(path, map_location=device, weights_only=True, mmap=True)
    except FileNotFoundError:
        raise UserError(f"the checkpoint's file {path} is missing; take another checkpoint") from None
    except pickle.UnpicklingError:  # torch's own words recommend to load it nevertheless
        raise UserError(
            f"the checkpoint's file {path} holds something else than tensors, so it was not loaded: loading could run "
            "a program hidden in it; take another checkpoint"
        ) from None
    except (RuntimeError, OSError) as error:
        raise UserError(f"the checkpoint's file {path} cannot be read ({error}); take another checkpoint") from error


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    with (folder / MANIFEST).open("w") as file:
        json.dump(manifest, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _put_in_place(written: Path, folder: Path) -> None:
    """Renames `written` to `folder`. One that is not empty cannot be renamed over: the old one steps aside first."""
    old = folder.with_name(folder.name + ".old")
    remove(old)
    if folder.exists():
        folder.rename(old)
    written.rename(folder)
    remove(old)


def _describe_table(table: ShardedTable) -> dict[str, Any]:
    return {"num_rows": table.num_rows, "parts": table.part_widths, "step": table.step}


def _check_tables(folder: Path, manifest: dict[str, Any], tables: Mapping[str, ShardedTable]) -> None:
    author = ", ".join(f"{key} {value!r}" for key, value in manifest["written_by"].items()) or "another run"
    hint = f"; the checkpoint was written by {author}: load it with the config of that run"
    if manifest["tables"].keys() != tables.keys():
        there, wanted = (", ".join(sorted(names)) or "none" for names in (manifest["tables"], tables))
        raise UserError(f"{folder} holds the tables {there}, this run needs {wanted}{hint}")
    for name, table in tables.items():
        written = manifest["tables"][name]
        for key, here in (("num_rows", table.num_rows), ("parts", table.part_widths)):
            if written[key] != here or (key == "parts" and list(written[key]) != list(table.part_widths)):
                raise UserError(f"{folder}: table {name!r} has {key} {written[key]}, this run needs {here}{hint}")
