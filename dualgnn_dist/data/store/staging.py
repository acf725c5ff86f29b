"""A store behind a URL, copied to a node's disk once, whichever of its processes asks first; and its way up there.

    <cache>/<name>-<fingerprint>            a whole copy: verified, then renamed at once
            <name>-<fingerprint>.partial    one under way or interrupted: its complete files are not fetched again
            <name>-<fingerprint>.lock       held by the process that copies

The fingerprint in the name makes a store that is replaced at its URL a new copy beside the old one.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import CountProgress, Say, say
from dualgnn_dist.base.storage.files import CACHE_VARIABLE, cache_root, locked, write_atomically
from dualgnn_dist.base.storage.locks import if_free
from dualgnn_dist.base.storage.remote import RemoteFolder, in_parallel
from dualgnn_dist.base.storage.removal import remove_files
from dualgnn_dist.base.storage.space import explained
from dualgnn_dist.data.store.removal import named_files, remove_own
from dualgnn_dist.data.store.schema import (
    MANIFEST,
    Manifest,
    ShardInfo,
    checksum,
    load_manifest,
    parse_manifest,
)
from dualgnn_dist.data.store.tables import refuse_manifest

_MEGABYTE = 1_000_000
_LOCK = ".store.writer"  # of the store that is made in a workplace
_ADVICE = f"delete copies of other stores there, or choose another disk with data.cache=FOLDER or {CACHE_VARIABLE}"


def stage(url: str, cache: str | None = None, verify: bool = False, say: Say = say) -> Path:
    """The folder of this node's copy of the store at `url`, made first if it is not there or damaged.

    A copy that is there costs the manifest's way from the URL and a look at the sizes of its files.

    Args:
        cache: the folder of all copies; None: `stores` in the node's cache.
        verify: also reads every byte of a copy that is there, and fetches again what is damaged.

    Raises:
        UserError: no store at `url`, one whose files are not what its manifest says, or no space for the copy.
    """
    remote = RemoteFolder.at(url)
    text = _manifest_text(remote)
    manifest = _parse(text, remote)
    folder = _copy_of(remote, manifest, cache)
    if not verify and _is_whole(folder, manifest):
        return _with_manifest(folder, text)
    with locked(_beside(folder, ".lock"), say, f"it copies {url} to {folder}"):
        if not _is_whole(folder, manifest) or (verify and _damaged(folder, manifest)):
            _clear_partials(folder, remote, say)
            with explained(folder, sum(shard.num_bytes for shard in manifest.shards), _ADVICE):
                _fetch(remote, manifest, text, folder, say)
    return _with_manifest(folder, text)


def cache_folder(cache: str | None) -> Path:
    """Where copies go: what the config says, or the node's cache."""
    return Path(cache).expanduser().absolute() if cache is not None else cache_root() / "stores"


def new_workplace(cache: str | None) -> Path:
    """A new folder on the disk of the copies, in which a store can be made that `publish` then only has to rename.

    Raises:
        UserError: nothing can be written there.
    """
    parent = cache_folder(cache)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for left in sorted(parent.glob(".made-*")):
            _clear_workplace(left)
        return Path(tempfile.mkdtemp(prefix=".made-", dir=parent))
    except OSError as error:
        raise UserError(
            f"the cache {parent} cannot be written ({error.strerror}); choose another with data.cache or "
            f"{CACHE_VARIABLE}"
        ) from error


def remove_workplace(workplace: Path) -> None:
    """Deletes a folder that `new_workplace` made, with the store in it if it is still there."""
    for folder in (*workplace.glob(".store.unfinished-*"), workplace / "store"):
        if folder.is_dir() and not folder.is_symlink():
            remove_own(folder)
    remove_files(workplace, [_LOCK])


def _clear_workplace(workplace: Path) -> None:
    """Deletes one of a process that was killed before its store was whole; whole ones are what `prepare` named."""
    if workplace.is_symlink() or not (workplace / _LOCK).exists() or (workplace / "store").exists():
        return
    with if_free(workplace / _LOCK) as is_dead:
        if is_dead:
            remove_workplace(workplace)
    if not workplace.exists():
        say(f"{workplace}, left by a prepare that was killed, is deleted")


def exists(url: str) -> bool:
    """Whether there is a whole store at `url`."""
    return RemoteFolder.at(url).exists(MANIFEST)


def refuse_occupied(url: str, overwrite: bool) -> None:
    """Refuses what `publish` would refuse, before the store is made.

    Raises:
        UserError: there is a store and it may not be replaced, or nothing can be written there.
    """
    remote = RemoteFolder.at(url)
    if not overwrite and remote.exists(MANIFEST):
        raise UserError(f"{url} is a store already; choose another place or set overwrite to replace it")
    if _files_at(remote) is None:
        raise UserError(
            f"{url} is not replaced: its {MANIFEST} is not that of a store or is damaged, so what lies there may be "
            "somebody else's; choose another place, or delete it yourself"
        )
    remote.check_writable()


def publish(store: Path, url: str, overwrite: bool, cache: str | None = None, say: Say = say) -> Path:
    """Copies the folder `store` to `url` and moves it to where `stage` looks for it; returns where it lies then.

    The manifest goes first from there and comes last, so that half a store is never opened.

    Raises:
        UserError: as `refuse_occupied`, or the storage fails; `store` stays then.
    """
    refuse_occupied(url, overwrite)
    remote, manifest = RemoteFolder.at(url), load_manifest(store)
    replaced = _files_at(remote) or []
    remote.delete(MANIFEST)
    progress = _ByteProgress(say, f"uploading {url}", manifest.shards)
    in_parallel(lambda shard: remote.upload(store / shard.file, shard.file, progress), manifest.shards)
    remote.upload(store / MANIFEST, MANIFEST)
    for file in {*replaced} - {MANIFEST, *(shard.file for shard in manifest.shards)}:
        remote.delete(file)
    folder = _copy_of(remote, manifest, cache)
    with locked(_beside(folder, ".lock"), say, f"it copies {url} to {folder}"):
        if not _is_whole(folder, manifest):
            _make_room(folder)
            shutil.move(store, folder)
    return _with_manifest(folder, (folder / MANIFEST).read_text())


def _fetch(remote: RemoteFolder, manifest: Manifest, text: str, folder: Path, say: Say) -> None:
    """Makes the copy whole. The lock is held."""
    partial = _beside(folder, ".partial")
    if folder.exists():  # what is good of it need not be fetched again
        say(
            f"the copy {folder} is damaged ({', '.join(_damaged(folder, manifest)[:3] or [MANIFEST])}): making it whole"
        )
        _make_room(partial)
        folder.rename(partial)
    partial.mkdir(exist_ok=True)
    (partial / MANIFEST).unlink(missing_ok=True)
    damaged = set(_damaged(partial, manifest))
    wanted = [shard for shard in manifest.shards if shard.file in damaged]
    _check_space(partial, sum(shard.num_bytes for shard in wanted), remote.url)
    megabytes = sum(shard.num_bytes for shard in wanted) / _MEGABYTE
    say(f"copying {remote.url} to {folder}: {len(wanted):,} of {len(manifest.shards):,} files, {megabytes:,.1f} MB")
    progress = _ByteProgress(say, f"copying {remote.name}", wanted)
    in_parallel(lambda shard: _fetch_shard(remote, shard, partial, progress), wanted)
    write_atomically(partial / MANIFEST, text)
    partial.rename(folder)


def _make_room(folder: Path) -> None:
    """Deletes a copy, whole or not, from its place in the cache."""
    if left := remove_own(folder):
        raise UserError(f"{folder} holds what is not a store's, such as {left[0]!r}: move it elsewhere")


def _clear_partials(folder: Path, remote: RemoteFolder, say: Say) -> None:
    """Deletes what killed processes had fetched of former contents of this store; `folder` is the copy of today's."""
    copy = re.compile(re.escape(remote.name) + r"-[0-9a-f]{16}\.partial")
    for partial in sorted(folder.parent.glob("*.partial")):
        if copy.fullmatch(partial.name) and partial != _beside(folder, ".partial") and not partial.is_symlink():
            with if_free(partial.with_suffix(".lock")) as is_dead:
                if is_dead and not remove_own(partial):
                    say(f"{partial}, left by a process that was killed, is deleted")


def _fetch_shard(remote: RemoteFolder, shard: ShardInfo, folder: Path, progress: Callable[[bytes], None]) -> None:
    digest = hashlib.blake2b(digest_size=16)

    def each(chunk: bytes) -> None:
        digest.update(chunk)
        progress(chunk)

    file = folder / shard.file
    remote.download(shard.file, file, each)
    if digest.hexdigest() != shard.checksum:
        size = file.stat().st_size
        file.unlink()
        raise UserError(
            f"{remote.url}: the file {shard.file} is damaged: its manifest says {shard.num_bytes:,} bytes with the "
            f"checksum {shard.checksum}, there are {size:,} bytes with the checksum {digest.hexdigest()}; "
            "make the store again with `prepare --overwrite`"
        )


def _manifest_text(remote: RemoteFolder) -> str:
    if not remote.exists(MANIFEST):
        raise UserError(
            f"{remote.url} is not a store or an unfinished one: it has no {MANIFEST}; make one with `prepare`"
        )
    return remote.read_text(MANIFEST)


def _parse(text: str, remote: RemoteFolder) -> Manifest:
    manifest = parse_manifest(text, remote.url)
    refuse_manifest(manifest, remote.url)
    return manifest


def _copy_of(remote: RemoteFolder, manifest: Manifest, cache: str | None) -> Path:
    return cache_folder(cache) / f"{remote.name}-{manifest.fingerprint[:16]}"


def _beside(folder: Path, suffix: str) -> Path:
    return folder.with_name(folder.name + suffix)


def _is_whole(folder: Path, manifest: Manifest) -> bool:
    """By the sizes alone: what every start can afford."""
    files = [folder / shard.file for shard in manifest.shards]
    sizes = [file.stat().st_size if file.is_file() else -1 for file in files]
    return (folder / MANIFEST).is_file() and sizes == [shard.num_bytes for shard in manifest.shards]


def _damaged(folder: Path, manifest: Manifest) -> list[str]:
    """The files that are missing or not what they should be, every byte read."""
    return [shard.file for shard in manifest.shards if not _is_good(folder / shard.file, shard)]


def _is_good(file: Path, shard: ShardInfo) -> bool:
    return file.is_file() and file.stat().st_size == shard.num_bytes and checksum(file) == shard.checksum


def _with_manifest(folder: Path, text: str) -> Path:
    """Another manifest may describe the same content: how a store was made is not in its fingerprint."""
    if (folder / MANIFEST).read_text() != text:
        write_atomically(folder / MANIFEST, text)
    return folder


def _files_at(remote: RemoteFolder) -> list[str] | None:
    """What a store that is to be replaced consists of, nothing else below its URL is deleted; None: it is none."""
    return named_files(remote.read_text(MANIFEST)) if remote.exists(MANIFEST) else [MANIFEST]


def _check_space(folder: Path, num_bytes: int, url: str) -> None:
    free = shutil.disk_usage(folder).free
    if num_bytes > free:
        raise UserError(
            f"copying {url} needs {num_bytes / _MEGABYTE:,.0f} MB and {folder.parent} has {free / _MEGABYTE:,.0f} MB "
            f"left; {_ADVICE}"
        )


class _ByteProgress:
    """Lines about the bytes of several files that are on their way at the same time."""

    def __init__(self, say: Say, label: str, shards: Sequence[ShardInfo]) -> None:
        self._lines = CountProgress(say, label, sum(shard.num_bytes for shard in shards) // _MEGABYTE, "MB")
        self._done = 0
        self._lock = threading.Lock()

    def __call__(self, chunk: bytes) -> None:
        with self._lock:
            self._done += len(chunk)
            self._lines.at(self._done // _MEGABYTE)
