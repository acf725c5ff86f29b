"""A file inside a zip archive, read as a stream: nothing is unpacked, and no path of the archive is made."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from dualgnn_dist.base.errors import UserError, nearest
from dualgnn_dist.data.prepare.reading import existing, readable

# What zipfile raises for a wrong checksum or an end that comes early, for a password, and for an unknown compression.
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError, OverflowError)


def archive_of(path: Path) -> Path | None:
    """The zip that a path as `archive.zip/name` leads into; None of a path without one."""
    return next((folder for folder in path.parents if folder.suffix == ".zip" and folder.is_file()), None)


@contextmanager
def opened_member(archive: Path, path: Path) -> Iterator[Stream]:
    """The bytes of `archive/name`. Raises UserError where they cannot be read."""
    with opened_archive(archive) as members:
        try:
            file = members.open(path.relative_to(archive).as_posix())
        except KeyError as error:
            raise UserError(f"{path} cannot be read: {error.args[0]}") from error
        except DAMAGED as error:
            raise UserError(f"{path} cannot be read: {_words(error)}") from error
        with file:
            yield Stream(path, file)


def only_member(archive: Path, names: Collection[str]) -> Path:
    """`archive/name` of the one file of a zip, in whatever folder, that is called as one of `names`.

    Raises:
        UserError: there is none, or several; the archive is damaged, or has a path that leads out of it.
    """
    with opened_archive(existing(archive)) as opened:
        members = [info.filename for info in opened.infolist() if not info.is_dir()]
    outside = [name for name in members if ".." in PurePosixPath(name.replace("\\", "/")).parts or name[:1] in "/\\"]
    if outside:
        raise UserError(f"{archive} holds {outside[0]!r}, a path that leads out of it; this is no archive to trust")
    chosen = [name for name in members if PurePosixPath(name).name in names]
    if not chosen:
        hint = nearest(next(iter(names)), (PurePosixPath(name).name for name in members))
        raise UserError(f"{archive} holds none of {', '.join(names)}{hint}")
    if len(chosen) > 1:
        raise UserError(f"{archive} holds {' and '.join(chosen[:5])}; unpack it and name one of them")
    return archive / chosen[0]


@contextmanager
def opened_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive. Raises UserError where the file is none, is damaged, or cannot be read."""
    with readable(path):
        try:
            archive = zipfile.ZipFile(path)
        except DAMAGED as error:
            raise UserError(f"{path} is no zip archive, or a damaged one: {_words(error)}; fetch it again") from error
        with archive:
            yield archive


class Stream(io.RawIOBase):
    """Reads on what is packed, and refuses in words what is damaged, which shows only where it is reached."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path, self._file = path, file

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As of a file. Raises UserError."""
        try:
            return int(self._file.readinto(buffer))  # type: ignore[attr-defined]
        except DAMAGED as error:
            raise UserError(f"{self._path} cannot be read: {_words(error)}") from error


def _words(error: BaseException) -> str:
    if isinstance(error, RuntimeError) and "password" in str(error):
        return "it is encrypted; unpack the archive first"
    if isinstance(error, EOFError):
        return "the archive ends in the midst of it; fetch it again"
    return " ".join(str(error).split()) or type(error).__name__
