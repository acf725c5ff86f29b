"""What the manifest of a store says. It is written last, so a folder that has one is a whole store."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from dualgnn_dist.base.config import from_mapping, plain
from dualgnn_dist.base.errors import UserError

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
SPLITS = ("train", "valid", "test")
AGAIN = "make the store again with `prepare`"
_OWN_CHECKSUM = "manifest_checksum"  # among the settings: programs older than it refuse keys that they do not know


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
        settings: how the store was made, what was counted on the way, and the checksum of all the rest of the manifest.
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
        prepared = self.settings.get("prepare")
        return isinstance(prepared, dict) and prepared.get("split") == "cold_items"

    @property
    def has_unseen_items(self) -> bool:
        """Whether there are items on purpose that nothing is known of but their content: held out, or kept."""
        catalogue = self.settings.get("catalogue")
        return self.holds_out_items or (isinstance(catalogue, dict) and catalogue.get("kept_cold", 0) != 0)

    @property
    def prepared_with(self) -> dict[str, Any]:
        """The `prepare` section that the store was made with.

        Raises:
            UserError: the manifest does not hold it; one without a checksum may have been edited.
        """
        prepared = self.settings.get("prepare")
        if not isinstance(prepared, dict) or type(prepared.get("num_co_users")) is not int:
            raise UserError(f"the store's {MANIFEST} does not say with which prepare settings it was made; {AGAIN}")
        return prepared

    def table(self, name: str) -> tuple[ShardInfo, ...]:
        """The shards of one table, such as `graph/user_item`, in row order."""
        return self.tables.get(name, ())

    @cached_property
    def tables(self) -> dict[str, tuple[ShardInfo, ...]]:
        """The shards of every table in row order; of the 100,000th on, names as text are in another one."""
        shards: dict[str, list[ShardInfo]] = {}
        for shard in self.shards:
            shards.setdefault(shard.file.rpartition("-")[0], []).append(shard)
        return {name: tuple(sorted(of_table, key=_place)) for name, of_table in shards.items()}

    @property
    def has_checksum(self) -> bool:
        """Whether it can be checked; those of older programs cannot."""
        return _OWN_CHECKSUM in self.settings

    def with_checksum(self) -> Manifest:
        """The same with its own checksum."""
        settings = {**self.settings, _OWN_CHECKSUM: _own_checksum(json.loads(json.dumps(plain(self))))}
        return replace(self, settings=settings)


def _place(shard: ShardInfo) -> tuple[int, str]:
    """Shorter numbers come first, and of equal length they stand in the order of text."""
    return len(shard.file), shard.file


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


def manifest_text(manifest: Manifest) -> str:
    """What is written of it."""
    return json.dumps(plain(manifest.with_checksum()), indent=1) + "\n"


def load_manifest(folder: Path) -> Manifest:
    """Reads a store's manifest.

    Raises:
        UserError: no manifest, one that cannot be read or is damaged, or one of another format version.
    """
    path = folder / MANIFEST
    if not path.is_file():
        reason = "there is no such folder" if not folder.is_dir() else f"it has no {MANIFEST}"
        raise UserError(f"{folder} is not a store or an unfinished one: {reason}; make one with `prepare`")
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error
    return parse_manifest(text, str(folder))


def parse_manifest(text: str, where: str) -> Manifest:
    """The manifest of the store at `where`.

    Raises:
        UserError: it cannot be read, is damaged, names files outside the store, or is of another format version.
    """
    path = f"{where}/{MANIFEST}"
    try:
        values = json.loads(text)
        version = values.get("format_version")
        own_checksum = _own_checksum(values)
    except (ValueError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is not a manifest ({error}); {AGAIN}") from error
    if version != FORMAT_VERSION:
        raise UserError(
            f"{where} is a store of format version {version}, this program reads version {FORMAT_VERSION}; "
            "make it again with `prepare`"
        )
    manifest = from_mapping(Manifest, values, path)
    for shard in manifest.shards:
        file = PurePosixPath(shard.file)
        if file.is_absolute() or ".." in file.parts:
            raise UserError(f"{where}: the manifest names {shard.file!r}, which lies outside the store")
    if manifest.settings.get(_OWN_CHECKSUM, own_checksum) != own_checksum:
        raise UserError(f"{path} is damaged (it does not have the checksum that it says); {AGAIN}")
    if fingerprint(manifest.shards, manifest.modalities) != manifest.fingerprint:
        raise UserError(f"{path} is damaged (its content does not have the fingerprint that it says); {AGAIN}")
    return manifest


def _own_checksum(values: dict[str, Any]) -> str:
    """Of all values but itself, however they are laid out as text."""
    settings = values.get("settings")
    if isinstance(settings, dict):
        values = {**values, "settings": {key: value for key, value in settings.items() if key != _OWN_CHECKSUM}}
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=16).hexdigest()
