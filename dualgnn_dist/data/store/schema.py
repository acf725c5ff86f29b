"""What the manifest of a store says. It is written last, so a folder that has one is a whole store."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dualgnn_dist.base.config import from_mapping, plain
from dualgnn_dist.base.errors import UserError

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, kw_only=True)
class ModalityInfo:
    """What one modality's column holds.

    Args:
        kind: `dense` is a vector an item, `tokens` a list of word ids an item.
        dimension: the vector's width D, or the size of the vocabulary.
        dtype: as stored: float32 or float16, or int32 for tokens.
        num_present: how many items have it.
    """

    kind: Literal["dense", "tokens"]
    dimension: int
    dtype: str
    num_present: int


@dataclass(frozen=True, kw_only=True)
class ShardInfo:
    """One file: its path inside the store, its rows, its size and the BLAKE2b-128 of its bytes."""

    file: str
    rows: int
    num_bytes: int
    checksum: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Sizes and contents of a store.

    Args:
        num_interactions: of `train`, `valid` and `test`.
        rows_per_shard: every shard of a table but its last has exactly so many rows.
        settings: how the store was made, and what was counted on the way.
        sources: the checksum of every raw input file, by its name.
        fingerprint: a hash over all the content: equal files, equal fingerprint, wherever and by how many threads made.
    """

    format_version: int
    num_users: int
    num_items: int
    num_interactions: dict[str, int]
    rows_per_shard: int
    modalities: dict[str, ModalityInfo]
    settings: dict[str, Any]
    sources: dict[str, str]
    shards: tuple[ShardInfo, ...]
    fingerprint: str

    @property
    def holds_out_items(self) -> bool:
        """Whether whole items were held out on purpose: they stand for those that come after the training."""
        return self.settings.get("prepare", {}).get("split") == "cold_items"

    def table(self, name: str) -> tuple[ShardInfo, ...]:
        """The shards of one table, such as `graph/user_item`, in row order."""
        return tuple(shard for shard in self.shards if shard.file.rpartition("-")[0] == name)


def shard_file(table: str, index: int) -> str:
    """The path of a table's shard inside the store."""
    return f"{table}-{index:05d}.arrow"


def checksum(path: Path) -> str:
    """BLAKE2b-128 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def fingerprint(shards: tuple[ShardInfo, ...], modalities: dict[str, ModalityInfo]) -> str:
    """The hash of everything a model can read from the store."""
    content = {"shards": plain(shards), "modalities": plain(modalities), "format_version": FORMAT_VERSION}
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()


def load_manifest(folder: Path) -> Manifest:
    """Reads a store's manifest.

    Raises:
        UserError: no manifest, one that cannot be read, or one of another format version.
    """
    path = folder / MANIFEST
    if not path.is_file():
        reason = "there is no such folder" if not folder.is_dir() else f"it has no {MANIFEST}"
        raise UserError(f"{folder} is not a store or an unfinished one: {reason}; make one with `prepare`")
    return parse_manifest(path.read_text(errors="replace"), str(folder))


def parse_manifest(text: str, where: str) -> Manifest:
    """The manifest of the store at `where`.

    Raises:
        UserError: it cannot be read, or is of another format version.
    """
    path = f"{where}/{MANIFEST}"
    try:
        values = json.loads(text)
        version = values.get("format_version")
    except (ValueError, AttributeError) as error:
        raise UserError(f"{path} is not a manifest ({error}); make the store again with `prepare`") from error
    if version != FORMAT_VERSION:
        raise UserError(
            f"{where} is a store of format version {version}, this program reads version {FORMAT_VERSION}; "
            "make it again with `prepare`"
        )
    return from_mapping(Manifest, values, path)
