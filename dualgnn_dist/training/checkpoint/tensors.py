"""A checkpoint's files of tensors: each says in itself what it is, and is hashed while it is written."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch

from dualgnn_dist.training.checkpoint.manifest import Damaged, FileInfo

DENSE = "dense.pt"
_IDENTITY = "identity"


def shard_name(table: str, shard: int, num_shards: int) -> str:
    """The file of one worker's rows of a table."""
    return f"{table}-{shard:05d}-of-{num_shards:05d}.pt"


def shard_identity(identity: Mapping[str, str], table: str, shard: int, num_shards: int) -> dict[str, str]:
    """What such a file says that it is."""
    return {**identity, "table": table, "shard": f"{shard} of {num_shards}"}


def write_shard(
    folder: Path,
    table: str,
    shard: int,
    num_shards: int,
    state: Mapping[str, Any],
    identity: Mapping[str, str] | None = None,
) -> dict[str, FileInfo]:
    """Writes the tensors of one shard's `state`, each [rows of the shard, ...]; returns the file's name and info.

    Args:
        identity: of the checkpoint, such as run, seed and epoch.
    """
    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    name = shard_name(table, shard, num_shards)
    return {name: write_tensors(folder / name, tensors, shard_identity(identity or {}, table, shard, num_shards))}


def write_tensors(path: Path, values: Mapping[str, Any], identity: Mapping[str, str]) -> FileInfo:
    """Writes a mapping of tensors, and what the file is, and forces it to disk.

    Raises:
        OSError: it cannot be written.
    """
    with path.open("wb") as file:
        hashed = _Hashed(file)
        try:
            torch.save({_IDENTITY: dict(identity), **values}, hashed)  # type: ignore[arg-type]
        except RuntimeError:  # torch says that it is at an unexpected position in the file, and not why
            if hashed.refusal is not None:
                raise hashed.refusal from None
            raise
        file.flush()
        os.fsync(file.fileno())
    return FileInfo(bytes=hashed.num_bytes, blake2b=hashed.digest.hexdigest())


def check_file(path: Path, written: FileInfo, identity: Mapping[str, str]) -> None:
    """Reads a file from its first byte to its last.

    Args:
        identity: what the file must be, see `read_tensors`: the message says so of a file of another run.

    Raises:
        Damaged: it is missing, or not what was written.
    """
    try:
        num_bytes = path.stat().st_size
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, _new_digest).hexdigest()
    except FileNotFoundError:
        raise _missing(path) from None
    except OSError as error:
        raise _unreadable(path, error) from error
    if digest == written.blake2b:
        return
    says = _what_it_says(path)
    if says and says != dict(identity):
        raise _damaged(path, _difference(says, identity))
    if num_bytes != written.bytes:
        raise _damaged(path, f"it has {num_bytes:,} bytes and was written with {written.bytes:,}")
    raise _damaged(path, "its checksum is another than when it was written")


def read_tensors(path: Path, identity: Mapping[str, str], device: torch.device | str = "cpu") -> dict[str, Any]:
    """The mapping that `write_tensors` wrote, memory-mapped.

    Args:
        identity: what the file must say that it is, if it says so at all.

    Raises:
        Damaged: it is missing, cannot be read, or is another file.
    """
    try:
        values = torch.load(path, map_location=device, weights_only=True, mmap=True)
    except FileNotFoundError:
        raise _missing(path) from None
    except pickle.UnpicklingError:  # torch's own words recommend to load it nevertheless
        raise Damaged(
            f"the checkpoint's file {path} holds something else than tensors, so it was not loaded: loading could run "
            "a program hidden in it; take another checkpoint"
        ) from None
    except Exception as error:  # damaged bytes make torch raise whatever they happen to say
        raise _unreadable(path, error) from error
    if not isinstance(values, dict):
        raise _damaged(path, f"it holds {type(values).__name__}, not a mapping")
    says = values.pop(_IDENTITY, None)
    if says is not None and says != dict(identity):
        raise _damaged(path, _difference(says, identity))
    return values


def _what_it_says(path: Path) -> dict[str, str]:
    """What a file says that it is; empty where that cannot be read."""
    try:
        says = torch.load(path, map_location="meta", weights_only=True, mmap=True)[_IDENTITY]
        return {str(key): str(value) for key, value in says.items()}
    except Exception:  # it is asked of files that are damaged
        return {}


def _difference(says: Any, identity: Mapping[str, str]) -> str:
    said = says if isinstance(says, dict) else {}
    differing = [key for key in identity if said.get(key) != identity[key]] or list(identity)
    theirs, ours = (", ".join(f"{key} {of.get(key)}" for key in differing) for of in (said, identity))
    return f"it is a file of {theirs}, and this one must be of {ours}"


def _missing(path: Path) -> Damaged:
    return Damaged(f"the checkpoint's file {path} is missing; take another checkpoint")


def _damaged(path: Path, why: str) -> Damaged:
    return Damaged(f"the checkpoint's file {path} is damaged: {why}; take another checkpoint")


def _unreadable(path: Path, error: Exception) -> Damaged:
    return Damaged(f"the checkpoint's file {path} cannot be read ({_first_line(error)}); take another checkpoint")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _new_digest() -> Any:
    return hashlib.blake2b(digest_size=16)


class _Hashed:
    """A file that is written from its beginning to its end, as torch writes, and hashed on the way."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest, self.num_bytes = file, _new_digest(), 0
        self.refusal: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            self._file.write(data)
        except OSError as error:
            self.refusal = error
            raise
        self.digest.update(data)
        view = memoryview(data)
        self.num_bytes += view.nbytes
        return view.nbytes

    def flush(self) -> None:
        self._file.flush()
