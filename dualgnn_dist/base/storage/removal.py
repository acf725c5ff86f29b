"""Deleting, by name: what this program made and can name goes, what else lies there stays.

There is no recursive delete here. Links are never followed: one among the named files goes as a link, and nothing is
deleted through a folder that is one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from dualgnn_dist.base.storage.names import check_inside


def files_below(folder: Path) -> list[str]:
    """What lies in a folder and in those below it, folders apart, as paths inside it; links are not followed.

    A folder that is a link counts as a file. Empty folders are not named.
    """
    return sorted(path.relative_to(folder).as_posix() for path in _walk(folder)) if folder.is_dir() else []


def remove_files(folder: Path, names: Iterable[str]) -> list[str]:
    """Deletes files by their paths inside a folder, then the folders that this leaves empty, `folder` itself as well.

    What is not there counts as deleted. A name that cannot be deleted, such as a folder's, is left.

    Args:
        names: of files; where their order matters, what says that the others are whole comes first.

    Returns:
        What is still in `folder`, as `files_below` names it.

    Raises:
        ValueError: a name leads out of the folder; nothing is deleted then.
    """
    named = list(names)
    for name in named:
        check_inside(name)
    if folder.is_symlink():
        return files_below(folder)
    emptied: set[PurePosixPath] = {PurePosixPath()}
    for name in named:
        parents = PurePosixPath(name).parents
        if not any((folder / parent).is_symlink() for parent in parents):
            with contextlib.suppress(OSError):
                (folder / name).unlink()
            emptied.update(parents)
    for inside in sorted(emptied, key=lambda path: len(path.parts), reverse=True):
        with contextlib.suppress(OSError):  # something else lies there
            (folder / inside).rmdir()
    return files_below(folder)


def remove_own(folder: Path, is_own: Callable[[str], bool]) -> list[str]:
    """Deletes the files that `is_own` takes by their paths inside a folder, then every folder there that is empty.

    For folders that this program alone writes, where not each file can be named; returns what is left.
    """
    left = remove_files(folder, filter(is_own, files_below(folder)))
    if not folder.is_symlink():
        for inside, *_ in os.walk(folder, topdown=False):
            with contextlib.suppress(OSError):
                Path(inside).rmdir()
    return left


def _walk(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path))
            else:
                yield Path(entry.path)
