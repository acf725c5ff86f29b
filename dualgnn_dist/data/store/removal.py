"""What of a store may be deleted: the files that its manifest names; of one that was never finished, what looks so.

A manifest may be damaged and still name files: only what is named as shards are is deleted for it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import Say
from dualgnn_dist.base.storage import removal
from dualgnn_dist.base.storage.removal import files_below, remove_files
from dualgnn_dist.data.store.schema import MANIFEST

_SHARD = re.compile(r"[^/\\\0]+/[^/\\\0]+-\d{5,}\.arrow")  # as `schema.shard_file` names them
_KEYS = {"file", "rows", "num_bytes", "checksum"}


def named_files(text: str) -> list[str] | None:
    """The files that a manifest names, itself first; None: it is no manifest of a store, or names other things."""
    try:
        values = json.loads(text)
        shards = (
            values["shards"] if {"format_version", "fingerprint", "num_users", "num_items"} <= set(values) else None
        )
        names = [_shard_name(shard) for shard in shards or ()]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return None if shards is None or None in names else [MANIFEST, *map(str, names)]


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Refuses what is at `path` before any work is done, unless it is a store, that alone, and may be replaced.

    Raises:
        UserError: says what lies there and what to do.
    """
    if not path.exists():
        return
    if not (path / MANIFEST).is_file():
        raise UserError(f"{path} exists and is not a store; choose another folder")
    if not overwrite:
        raise UserError(f"{path} is a store already; choose another folder or set overwrite to replace it")
    names = named_files((path / MANIFEST).read_text(errors="replace"))
    if names is None:
        raise UserError(
            f"{path} is not replaced: its {MANIFEST} is not that of a store or is damaged, so what lies there may be "
            "somebody else's; choose another folder, or delete that one yourself"
        )
    if strangers := sorted({*files_below(path)} - {*names}):
        others = f" (one of {len(strangers):,} such files)" if len(strangers) > 1 else ""
        raise UserError(
            f"the store {path} is not replaced: {strangers[0]!r} in it is not of the store{others}; move it elsewhere"
        )


def remove_own(folder: Path) -> list[str]:
    """Deletes what looks like a store's files from a folder in which one was being made; returns what is left."""
    remove_files(folder, [MANIFEST])  # first: by it a store is whole
    return removal.remove_own(folder, lambda name: name == MANIFEST or _SHARD.fullmatch(name) is not None)


def clear_unfinished(path: Path, say: Say) -> None:
    """Deletes what writers of `path` that were killed have left beside it. Only who holds its lock may call this."""
    for folder in sorted(path.parent.glob(f".{path.name}.unfinished-*")):
        if folder.is_symlink() or not folder.is_dir():
            continue
        left = remove_own(folder)
        say(
            f"{folder}, left by a prepare that was killed, is deleted"
            if not left
            else f"{folder}, left by a prepare that was killed, holds other files than a store's ({left[0]}): it stays"
        )
    for folder in sorted(path.parent.glob(f".{path.name}.replaced-*")):
        if (
            folder / "store"
        ).is_dir() and path.exists():  # else the kill came between two renames, and it is all there is
            remove_replaced(folder, say)


def remove_replaced(aside: Path, say: Say) -> None:
    """Deletes a store that was replaced, from the folder `aside` into which it was moved; what is not its own stays."""
    store = aside / "store"
    try:
        names = named_files((store / MANIFEST).read_text(errors="replace"))
    except OSError:
        names = None
    if left := remove_files(store, names or []):
        return say(f"{store} holds what is not of the store that was replaced, such as {left[0]}: it is kept there")
    remove_files(aside, [])


def _shard_name(shard: Any) -> str | None:
    name = shard["file"] if isinstance(shard, dict) and shard.keys() >= _KEYS else None
    return name if isinstance(name, str) and _SHARD.fullmatch(name) and ".." not in name.split("/") else None
