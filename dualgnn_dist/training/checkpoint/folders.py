"""Which folders are checkpoints, by their names, and what becomes of those that are not whole."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from dualgnn_dist.base.storage.removal import files_below, remove_files
from dualgnn_dist.training.checkpoint.manifest import MANIFEST

_NAME = re.compile(r"epoch-(\d{5,})(?:-step-(\d{7,}))?")
_OWN_FILE = re.compile(r"dense\.pt|[A-Za-z_]\w*-\d{5,}-of-\d{5,}\.pt")
_PARTIAL, _OLD, _DAMAGED = ".partial", ".old", ".damaged"


def name_of(epoch: int, step: int = 0) -> str:
    """The name of the state after so many epochs, and so many steps of the next."""
    return f"epoch-{epoch:05d}" + (f"-step-{step:07d}" if step else "")


def is_name(name: str) -> bool:
    """Whether a checkpoint may be called so, whole or half-made; one that was set aside may not."""
    return _NAME.fullmatch(name.removesuffix(_PARTIAL).removesuffix(_OLD)) is not None


def complete(names: Iterable[str]) -> list[str]:
    """Of several folders' names, those of checkpoints that may be read, the newest first."""
    matches = [match for name in names if (match := _NAME.fullmatch(name))]
    return [match[0] for match in sorted(matches, key=lambda match: (int(match[1]), int(match[2] or 0)), reverse=True)]


def partial(folder: Path) -> Path:
    """Where the workers write the checkpoint `folder` before it is whole."""
    return folder.with_name(folder.name + _PARTIAL)


def exists(folder: Path) -> bool:
    """Whether a complete checkpoint is there."""
    return (folder / MANIFEST).is_file()


def remove(folder: Path) -> None:
    """Deletes a checkpoint, complete or not, if it is there. One worker calls this.

    The manifest goes first, so that a deletion cut short does not leave half a checkpoint that looks whole. Files that
    no checkpoint has stay, and the folder with them.
    """
    with suppress(FileNotFoundError):  # another worker deletes it too
        remove_files(folder, [MANIFEST, *(name for name in files_below(folder) if _OWN_FILE.fullmatch(name))])


def put_in_place(written: Path, folder: Path) -> None:
    """Renames `written` to `folder`. One that is not empty cannot be renamed over: the old one steps aside first."""
    old = folder.with_name(folder.name + _OLD)
    remove(old)
    if folder.exists():
        folder.rename(old)
    written.rename(folder)
    remove(old)


def put_back_old(parent: Path) -> None:
    """Takes back what stepped aside for a newer one that never came: the writer was killed between two renames."""
    for old in parent.glob(f"epoch-*{_OLD}"):
        folder = old.with_name(old.name.removesuffix(_OLD))
        if exists(old) and not folder.exists():
            old.rename(folder)


def set_aside(folder: Path) -> Path:
    """Renames a checkpoint that cannot be used, so that it is not taken again and yet not lost; returns where it is."""
    number, aside = 1, folder.with_name(folder.name + _DAMAGED)
    while aside.exists():
        number += 1
        aside = folder.with_name(f"{folder.name}{_DAMAGED}-{number}")
    return folder.rename(aside)
