"""Folders behind URLs: listed, read, written and deleted through pyarrow's filesystems; failures said in a sentence.

Credentials come from the environment, where each storage's own tools look for them, never from the URL: a URL stands in
the config, and the config is copied into the run's folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, urlsplit

import pyarrow as pa
from pyarrow import fs

from dualgnn_dist.base.errors import UserError, nearest
from dualgnn_dist.base.liveness import heartbeat
from dualgnn_dist.base.storage.names import check_inside
from dualgnn_dist.base.storage.space import explained

T = TypeVar("T")
Each = Callable[[bytes], None]

SCHEMES = ("file", "s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss")
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the machine's role",
    "gcs": "GOOGLE_APPLICATION_CREDENTIALS, or the machine's service account",
    "abfs": "AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET, or the machine's identity",
}
_OBJECT_STORES = tuple(_CREDENTIALS)  # they have no folders, and a file appears whole or not at all
_REFUSED = re.compile(
    r"denied|credential|forbidden|access_?key|signature|oauth|unauthenticated|unauthorized|\b40[13]\b"
)
_CHUNK_BYTES = 8 << 20
_STREAMS = 4  # one stream of an object store does not fill a network card


def is_url(text: str) -> bool:
    """Whether it reads `scheme://...`; a path does not."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is not None


def join(url: str, *names: str) -> str:
    """The URL of what lies below; what stands behind `?` stays behind."""
    base, mark, query = url.partition("?")
    return "/".join([base.rstrip("/"), *(quote(name) for name in names)]) + mark + query


def filesystem(url: str) -> tuple[fs.FileSystem, str]:
    """The filesystem that a URL names, and the path on it. What stands behind `?` are pyarrow's options, such as
    `region`, `scheme` and `endpoint_override` of `s3://`.

    Raises:
        UserError: an unknown scheme, an unknown option, a password in the URL, or a filesystem that cannot be had here.
    """
    scheme = url.partition("://")[0]
    if scheme not in SCHEMES:
        raise UserError(f"{url!r} has the unknown scheme {scheme!r}{nearest(scheme, SCHEMES)}")
    options = [key for key, _ in parse_qsl(urlsplit(url).query)]
    if urlsplit(url).password is not None or any(re.search("secret|password|token|_key", key) for key in options):
        raise UserError(
            f"the {scheme}:// URL holds credentials, which would be written into every run's folder; "
            "leave them out and put them into the environment"
        )
    try:
        found, path = fs.FileSystem.from_uri(url)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{url!r} cannot be used: {_first_line(error)}") from error
    if not path.strip("/"):
        raise UserError(f"{url!r} names no folder; write {scheme}://BUCKET/FOLDER")
    return found, path.rstrip("/")


def in_parallel(function: Callable[[T], Any], items: Iterable[T]) -> None:
    """Calls `function` on every item, several at a time. The first error ends it, once what has begun is done."""
    with ThreadPoolExecutor(_STREAMS) as pool:
        try:
            for future in [pool.submit(function, item) for item in items]:
                future.result()
        finally:
            pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class RemoteFolder:
    """A folder behind a URL. Names are paths inside it; threads may share it.

    Every method raises UserError where the storage refuses, cannot be reached, or has no such file or bucket, and where
    a name, a listing's included, leads out of the folder.
    """

    url: str
    filesystem: fs.FileSystem
    path: str

    @classmethod
    def at(cls, url: str) -> RemoteFolder:
        """The folder that a URL names, which need not exist; asks nothing of the storage."""
        return cls(url, *filesystem(url))

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(self.path).name

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        with self._explained("look for", name):
            return self.filesystem.get_file_info(self._at(name)).type == fs.FileType.File

    def sizes(self, below: str = "") -> dict[str, int]:
        """The bytes of every file in it and in the folders below, by name; empty where there is none."""
        with self._explained("list", below):
            selector = fs.FileSelector(self._at(below).rstrip("/"), recursive=True, allow_not_found=True)
            found = self.filesystem.get_file_info(selector)
        return {self._name_of(info.path): info.size for info in found if info.type == fs.FileType.File}

    def modified(self, name: str) -> float | None:
        """When a file was written, in seconds by the clock of the storage; None: there is none, or it has no clock."""
        with self._explained("look for", name):
            nanoseconds = self.filesystem.get_file_info(self._at(name)).mtime_ns
        return None if nanoseconds is None else nanoseconds / 1e9

    def read_text(self, name: str) -> str:
        """A small file's text."""
        with self._explained("read", name), self.filesystem.open_input_stream(self._at(name)) as source:
            return source.read().decode(errors="replace")

    def write_text(self, name: str, text: str) -> None:
        """Writes a small file, whole."""
        with self._writing(name) as sink:
            sink.write(text.encode())

    def upload(self, file: Path, name: str, each: Each = lambda chunk: None) -> None:
        """Copies a file there; `each` is called with its bytes, piece by piece."""
        with file.open("rb") as source, self._writing(name) as sink:
            while chunk := source.read(_CHUNK_BYTES):
                sink.write(chunk)
                heartbeat.beat()
                each(chunk)

    def download(self, name: str, file: Path, each: Each = lambda chunk: None) -> None:
        """Copies a file here and forces it to disk; `each` is called with its bytes, piece by piece."""
        with self._explained("download", name), _removed_on_error(file), explained(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as sink:
                with self.filesystem.open_input_stream(self._at(name)) as source:
                    while chunk := source.read(_CHUNK_BYTES):
                        sink.write(chunk)
                        heartbeat.beat()
                        each(chunk)
                sink.flush()
                os.fsync(sink.fileno())

    def rename(self, name: str, new: str) -> None:
        """Gives a file another name; on an object store that is a copy."""
        with self._explained("rename", name):
            if self.filesystem.type_name not in _OBJECT_STORES:
                self.filesystem.create_dir(self._at(new).rpartition("/")[0], recursive=True)
            self.filesystem.move(self._at(name), self._at(new))

    def delete(self, name: str) -> None:
        """Deletes a file if it is there."""
        if self.exists(name):
            with self._explained("delete", name):
                self.filesystem.delete_file(self._at(name))

    def delete_below(self, name: str, files: Sequence[str]) -> None:
        """Deletes files of a folder, named by their paths inside it, then the folder itself if it is empty now.

        The first of the files goes before the others.
        """
        for batch in (files[:1], files[1:]):
            in_parallel(lambda file: self.delete(f"{name}/{file}"), batch)
        with self._explained("delete", name):
            here = fs.FileSelector(self._at(name), recursive=False, allow_not_found=True)
            is_folder = self.filesystem.get_file_info(self._at(name)).type == fs.FileType.Directory
            if is_folder and not self.filesystem.get_file_info(here):
                self.filesystem.delete_dir(self._at(name))

    def check_writable(self) -> None:
        """Writes a small file and deletes it: hours of work are not to end in a storage that refuses."""
        self.write_text(".writable", "")
        self.delete(".writable")

    def _at(self, name: str) -> str:
        try:
            if name:
                check_inside(name)
        except ValueError as error:
            raise UserError(f"{self.url}: {error}") from None
        return f"{self.path}/{name}"

    def _name_of(self, path: str) -> str:
        """The name that a listing's path means here. What an object is called, anybody can choose who may write."""
        name = path[len(self.path) :].removeprefix("/")
        try:
            check_inside(name)
        except ValueError as error:
            raise UserError(f"the listing of {self.url}: {error}; nothing was copied, remove that file there") from None
        return name

    @contextmanager
    def _writing(self, name: str) -> Iterator[Any]:
        """A stream into a file; on a disk it goes under another name first, so that nobody reads the half of it."""
        with self._explained("write", name):
            path = self._at(name)
            is_disk = self.filesystem.type_name == "local"
            if self.filesystem.type_name not in _OBJECT_STORES:
                self.filesystem.create_dir(path.rpartition("/")[0], recursive=True)
            if not is_disk:
                with self.filesystem.open_output_stream(path) as sink:
                    yield sink
                return
            written = f"{path}.partial"
            with _removed_on_error(Path(written)), explained(Path(path)):
                with self.filesystem.open_output_stream(written) as sink:
                    yield sink
                self.filesystem.move(written, path)

    @contextmanager
    def _explained(self, doing: str, name: str) -> Iterator[None]:
        where = join(self.url, *PurePosixPath(name).parts)
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise UserError(self._why(error, doing, where)) from error

    def _why(self, error: Exception, doing: str, where: str) -> str:
        storage, text = self.filesystem.type_name, _first_line(error)
        if self._lacks_bucket(text, isinstance(error, FileNotFoundError)):
            return f"cannot {doing} {where}: there is no bucket {self.path.split('/')[0]!r}; make it first"
        if isinstance(error, FileNotFoundError):
            return f"cannot {doing} {where}: there is no such file"
        if _REFUSED.search(text.lower()):
            hint = _CREDENTIALS.get(storage)
            return f"cannot {doing} {where}: access was refused ({text})" + (f"; credentials: {hint}" if hint else "")
        return f"cannot {doing} {where}: {text}"

    def _lacks_bucket(self, text: str, is_missing: bool) -> bool:
        if "NO_SUCH_BUCKET" in text:
            return True
        if not is_missing or self.filesystem.type_name not in _OBJECT_STORES:
            return False
        try:
            bucket = self.filesystem.get_file_info(self.path.split("/")[0])
        except OSError:  # who may read a folder may yet be refused the bucket
            return False
        return bucket.type == fs.FileType.NotFound


@contextmanager
def _removed_on_error(file: Path) -> Iterator[None]:
    """Half a file is of no use, and on a full disk it takes the last room."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            file.unlink()
        raise


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
