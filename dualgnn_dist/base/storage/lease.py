"""One writer at a time behind a URL, where storage knows no locks: a small file that its holder renews.

Who finds one that is fresh watches it. If it changes, its holder lives, and the newcomer is refused; if it stays as it
is for a minute by the storage's own clock, its holder is dead, and the newcomer takes its place. A holder whose lease
was taken (it slept, or had no network) writes no more: `Lease.check` tells it.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import Say
from dualgnn_dist.base.storage.locks import described, only_writer, this_process
from dualgnn_dist.base.storage.remote import RemoteFolder

LEASE, CLOCK = ".writer", ".clock"  # names in the folder
RENEWED_EVERY, STALE_AFTER = 15.0, 60.0  # seconds
SETTLED_AFTER = 2.0  # seconds: of two that write their lease at the same time, the later one stays


@contextmanager
def only_writer_at(remote: RemoteFolder, what: str, say: Say) -> Iterator[None]:
    """Holds the folder behind a URL; on a disk by its file system's lock, elsewhere by a lease.

    Args:
        what: names it in messages, such as "the run".
        say: hears what is waited for, and what is wrong with the lease while it is held.

    Raises:
        UserError: another process holds it, which one and since when; or the storage refuses or cannot be reached.
    """
    folder = folder_on_disk(remote)
    with _leased(remote, what, say) if folder is None else only_writer(folder, what, say):
        yield


def folder_on_disk(remote: RemoteFolder) -> Path | None:
    """The folder that a URL names on a file system of this node; None: it names one elsewhere."""
    return Path(remote.path) if remote.filesystem.type_name == "local" else None


def holder_of(remote: RemoteFolder) -> Mapping[str, Any] | None:
    """What the lease there says of who holds it; None: there is none."""
    text = _read(remote)
    return None if text is None else _parsed(text)


def check_holder(remote: RemoteFolder, before: Mapping[str, Any] | None, what: str) -> None:
    """Refuses to go on where somebody else has taken the lease since `holder_of` gave `before`.

    Raises:
        UserError: says who.
    """
    now = holder_of(remote)
    if now is not None and now.get("token") != (before or {}).get("token"):
        raise UserError(f"{what} {remote.url} was taken over by {described(now)}; this process writes no more there")


@contextmanager
def _leased(remote: RemoteFolder, what: str, say: Say) -> Iterator[None]:
    _await_death(remote, what, say)
    mine = {**this_process(), "place": _place(), "token": uuid.uuid4().hex}
    _write(remote, mine)
    time.sleep(SETTLED_AFTER)
    holder = holder_of(remote)
    if holder is None:
        say(f"{remote.url} does not give back what was just written: see to it that nobody else writes {what}")
    elif holder.get("token") != mine["token"]:
        raise _refusal(remote, what, holder)
    ended = threading.Event()
    renewal = threading.Thread(target=_renew, args=(remote, mine, ended, say), name="lease", daemon=True)
    renewal.start()
    try:
        yield
    finally:
        ended.set()
        renewal.join()
        with suppress(UserError):  # what cannot be deleted goes stale
            if (holder_of(remote) or {}).get("token") == mine["token"]:
                remote.delete(LEASE)


def _await_death(remote: RemoteFolder, what: str, say: Say) -> None:
    """Returns once nobody holds the lease; whose it is must stay silent for as long as a live one cannot."""
    found = _read(remote)
    if found is None or _is_dead_here(_parsed(found)):
        return
    left = STALE_AFTER - _age(remote)
    if left > 0:
        say(f"{what} {remote.url} was held by {described(_parsed(found))}: watching up to {left:.0f} s if it still is")
    until = time.monotonic() + left
    while time.monotonic() < until:
        time.sleep(min(2.0, RENEWED_EVERY / 4))
        now = _read(remote)
        if now is None:
            return
        if now != found:
            raise _refusal(remote, what, _parsed(now))
    say(f"{what} {remote.url}: its former writer, {described(_parsed(found))}, is silent, so this process takes over")


def _renew(remote: RemoteFolder, mine: Mapping[str, Any], ended: threading.Event, say: Say) -> None:
    beat, is_in_trouble = 0, False
    while not ended.wait(RENEWED_EVERY):
        beat += 1
        try:
            holder = holder_of(remote)
            if holder is not None and holder.get("token") != mine["token"]:
                return say(f"{remote.url} was taken over by {described(holder)}; this process writes no more there")
            _write(remote, {**mine, "beat": beat})
            is_in_trouble = False
        except UserError as error:
            if not is_in_trouble:
                say(f"the lease of {remote.url} could not be renewed, another process may take over: {error}")
            is_in_trouble = True


def _refusal(remote: RemoteFolder, what: str, holder: Mapping[str, Any]) -> UserError:
    return UserError(
        f"{what} {remote.url} is being written by {described(holder)}; wait for it or end it, or choose another name"
    )


def _age(remote: RemoteFolder) -> float:
    """Seconds since the lease was written, by the clock of the storage; 0 where it has none."""
    remote.write_text(CLOCK, "")
    now, written = remote.modified(CLOCK), remote.modified(LEASE)
    remote.delete(CLOCK)
    return 0.0 if now is None or written is None else max(0.0, now - written)


def _read(remote: RemoteFolder) -> str | None:
    try:
        return remote.read_text(LEASE)
    except UserError:
        if remote.exists(LEASE):  # else its holder has just ended, or there was none
            raise
        return None


def _write(remote: RemoteFolder, lease: Mapping[str, Any]) -> None:
    remote.write_text(LEASE, json.dumps(lease))


def _parsed(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    return values if isinstance(values, dict) else {}


def _is_dead_here(holder: Mapping[str, Any]) -> bool:
    """Whether it was a process of this very system that is no more; then nothing needs to be waited for."""
    process, place = holder.get("process"), _place()
    if place is None or holder.get("place") != place or not isinstance(process, int) or process < 1:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        pass
    return False


def _place() -> str | None:
    """Where a process id means a process: this start of this kernel, in this container."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() + " " + os.readlink("/proc/self/ns/pid")
    except OSError:
        return None
