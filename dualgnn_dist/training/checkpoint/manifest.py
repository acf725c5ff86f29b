"""What a checkpoint says of itself, and its checksums: of every file, and one of its own."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dualgnn_dist.base.config import from_mapping, plain
from dualgnn_dist.base.errors import UserError

FORMAT_VERSION = 2
UNCHECKED_VERSION = 1
"""Before there were checksums: it is read, and said that it cannot be checked."""

MANIFEST = "checkpoint.json"


class Damaged(UserError):
    """A checkpoint whose files are not what was written. Another one may be whole."""


@dataclass(frozen=True, kw_only=True)
class TableInfo:
    """A table's rows, its columns by part, and the step that it stands at."""

    num_rows: int
    parts: dict[str, int]
    step: int


@dataclass(frozen=True, kw_only=True)
class FileInfo:
    """A file's length, and the BLAKE2b-128 of its bytes in hex."""

    bytes: int
    blake2b: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What `checkpoint.json` holds, its own checksum apart.

    Args:
        num_shards: of every table: the workers that wrote it.
        written_by: what the state belongs to: model, store, run, seed.
        progress: plain JSON values: epoch, step, best metric, ...
        files: every other file by name; empty in a checkpoint of before there were checksums.
    """

    format_version: int
    num_shards: int
    written_by: dict[str, str]
    tables: dict[str, TableInfo]
    progress: dict[str, Any]
    files: dict[str, FileInfo] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.num_shards < 1:
            raise ValueError("num_shards must be at least 1")
        if any(min(table.num_rows, table.step, *table.parts.values(), 0) < 0 for table in self.tables.values()):
            raise ValueError("a table has a negative size")


def identity_of(manifest: Manifest) -> dict[str, str]:
    """What every file of the checkpoint says that it is a part of."""
    where = {key: str(manifest.progress.get(key)) for key in ("epoch", "step")}
    return {**manifest.written_by, **where}


def write(path: Path, manifest: Manifest) -> None:
    """Writes it with its checksum, and forces it to disk."""
    values = plain(manifest)
    with path.open("w") as file:
        json.dump({**values, "blake2b": _checksum(values)}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def describe(folder: Path) -> Manifest:
    """The manifest of a checkpoint.

    Raises:
        UserError: no complete checkpoint there, or one of another format version.
        Damaged: the manifest is not what was written.
    """
    path = folder / MANIFEST
    try:
        values = json.loads(path.read_bytes())
        version = values["format_version"]
    except FileNotFoundError:
        if not folder.exists():
            raise UserError(f"there is no checkpoint at {folder}") from None
        raise Damaged(
            f"{folder} holds no complete checkpoint: {MANIFEST}, which is written last, is missing; take an earlier "
            "checkpoint"
        ) from None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise _damaged(path, f"it cannot be read ({type(error).__name__}: {error})") from error
    if version not in (FORMAT_VERSION, UNCHECKED_VERSION) or isinstance(version, bool):
        raise UserError(
            f"{folder} has checkpoint format version {version}, this program reads {UNCHECKED_VERSION} and "
            f"{FORMAT_VERSION}"
        )
    is_checked = version == FORMAT_VERSION or "blake2b" in values
    if is_checked and values.pop("blake2b", None) != _checksum(values):
        raise _damaged(path, "its checksum is another")
    try:
        return from_mapping(Manifest, values)
    except ValueError as error:
        raise _damaged(path, str(error)) from error


def check_written_by(folder: Path, wanted: Mapping[str, str]) -> None:
    """Refuses a checkpoint of something else: rows of another store fit a table of the same size and mean other users.

    A checkpoint of before runs had ids and seeds were written down is taken for one of this run.

    Raises:
        UserError: `save` was told other names, or there is no complete checkpoint.
    """
    written_by = describe(folder).written_by
    for key, value in wanted.items():
        if key in ("run", "seed"):
            if written_by.get(key, value) != value:
                raise UserError(
                    f"{folder} is of another run (its {key} is {written_by[key]}, this run's is {value}); move it out "
                    "of the way"
                )
        elif written_by.get(key) != value:
            raise UserError(
                f"{folder} was written with the {key} {written_by.get(key)!r}, this run has {value!r}; "
                f"load it with the {key} of that run"
            )


def _checksum(values: Mapping[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=16).hexdigest()


def _damaged(path: Path, why: str) -> Damaged:
    return Damaged(f"{path} is damaged: {why}; take another checkpoint")
