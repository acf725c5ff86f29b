"""Ray, connected to or started: what can go wrong there is one sentence."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import ray

from dualgnn_dist.base.errors import Failed, UserError
from dualgnn_dist.base.liveness.signals import descendants
from dualgnn_dist.base.screen import say, visible
from dualgnn_dist.base.storage.files import cache_root
from dualgnn_dist.launch import failures
from dualgnn_dist.launch.ray_screen import shown

ADDRESS = "RAY_ADDRESS"
SECONDS_TO_ANSWER = 10.0  # a cluster that is being started may still be deaf
# What Ray puts behind the folder for temporary files; the system allows a socket 107 bytes.
_LONGEST_FOLDER = 107 - len("/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store")
_LEAST_FREE = 64 << 20  # bytes for Ray's logs and sockets


@contextmanager
def connected(shows_workers: bool = True, folder: Path | None = None, shows_dashboard: bool = True) -> Iterator[None]:
    """Connects to the cluster of `RAY_ADDRESS`, or starts a local one; what was connected before stays so.

    Args:
        shows_workers: whether what workers print appears here too.
        folder: of the run; what Ray's processes write to standard error is kept there, or else in the cache.

    Raises:
        UserError: no cluster answers at the address, it is of another version, or a local one has no place.
        Failed: Ray did not start for another reason; the sentence names the file with the whole story.
    """
    if ray.is_initialized():
        yield
        return
    _keep_ray_quiet()
    _check_address() if os.environ.get(ADDRESS) else _check_place()
    dashboard = _start(shows_workers)
    if shows_dashboard and dashboard:
        say(f"Ray dashboard: http://{dashboard}  (its token: ray get-auth-token)")
    try:
        with shown(folder or cache_root()), _sigterm_ends():
            yield
    finally:
        workers = _local_workers()
        ray.shutdown()
        _kill_stopped(workers)


def _local_workers() -> list[int]:
    """Processes below a raylet that this process started."""
    return [
        worker for process in descendants(os.getpid()) if _name(process) == "raylet" for worker in descendants(process)
    ]


def _kill_stopped(workers: list[int]) -> None:
    """A raylet leaves behind what is stopped, and who is stopped never sees that it is gone."""
    for worker in workers:
        with contextlib.suppress(OSError, IndexError):
            state = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0]
            if state == "T" and _name(worker).startswith("ray::"):
                os.kill(worker, signal.SIGKILL)


def _name(process: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/comm").read_text().strip()
    return ""


@contextmanager
def _sigterm_ends() -> Iterator[None]:
    """With the exit code of the signal; the handler that `ray.init` has set ends with 15."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _keep_ray_quiet() -> None:
    """Leaves out what Ray would say at every start and nobody can act on; what the user has set stays."""
    os.environ.setdefault("RAY_COLOR_PREFIX", "0")  # no colour codes in logs that are files
    # It would hand workers notice of a preemption, which they do not ask for, and warns about its own making.
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")


def _check_address() -> None:
    """Ray itself tries for minutes, with a warning every few seconds."""
    address = os.environ[ADDRESS]
    where = re.fullmatch(r"(?:ray://)?([^:/]+|\[[^\]]+\]):(\d{1,5})", address)
    if where is None:
        if address in ("auto", "local"):
            return
        raise UserError(f"{ADDRESS}={address!r} is no address; write HOST:PORT, such as 10.0.0.1:6379, or unset it")
    deadline = time.monotonic() + SECONDS_TO_ANSWER
    while True:
        try:
            with socket.create_connection((where[1].strip("[]"), int(where[2])), timeout=SECONDS_TO_ANSWER):
                return
        except (OSError, OverflowError) as error:
            if time.monotonic() > deadline or isinstance(error, (socket.gaierror, OverflowError)):
                raise UserError(
                    f"no Ray cluster answers at {ADDRESS}={address} ({getattr(error, 'strerror', None) or error}); "
                    "start one there with `ray start --head`, correct the address, or unset it for a local one"
                ) from error
            time.sleep(0.5)


def _check_place() -> None:
    """Refuses a folder for temporary files in which Ray would not start, or wait for ever."""
    folder = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    advice = "set RAY_TMPDIR to a short path on a disk with space"
    if len(os.fsencode(folder)) > _LONGEST_FOLDER:
        raise UserError(
            f"the folder for temporary files {folder} has {len(os.fsencode(folder))} letters and Ray's sockets leave "
            f"it {_LONGEST_FOLDER} at most; {advice}"
        )
    try:
        (Path(folder) / "ray").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=Path(folder) / "ray") as file:
            file.write(bytes(4096))
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise UserError(f"Ray cannot write its temporary files to {folder} ({error.strerror}); {advice}") from error
    if free < _LEAST_FREE:
        raise UserError(f"{folder} has {free >> 20} MB free and Ray needs {_LEAST_FREE >> 20} to start; {advice}")


def _start(shows_workers: bool) -> str:
    """The dashboard's address. What is written to standard error meanwhile is part of the story if there is one."""
    with tempfile.TemporaryFile() as written:
        try:
            with _standard_error_to(written.fileno()):
                return ray.init(logging_level="error", log_to_driver=shows_workers).dashboard_url
        except Exception as error:  # as many kinds as there are ways not to start
            written.seek(0)
            _explain(error, written.read().decode(errors="replace"))


@contextmanager
def _standard_error_to(file: int) -> Iterator[None]:
    """Ray's parts in C++ write to the descriptor, whatever `sys.stderr` is."""
    before = os.dup(2)
    os.dup2(file, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def _explain(error: Exception, written: str) -> NoReturn:
    story = f"{''.join(traceback.format_exception(error))}\n{written}"
    text = " ".join(str(error).split())
    at = f" of {ADDRESS}={os.environ[ADDRESS]}" if os.environ.get(ADDRESS) else ""
    if "Version mismatch" in text:
        versions = " and ".join(re.findall(r"Ray: \S+ Python: \S+", text))
        raise UserError(
            f"the Ray cluster{at} and this process are of different versions ({visible(versions or text)}); install "
            "the cluster's versions here, or these there"
        ) from error
    if "AuthToken" in text + written:
        raise UserError(
            f"the Ray cluster{at} does not take this process's token; set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN to "
            "the token it was started with"
        ) from error
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        text = "its disk is full"
    first = text if len(text) <= 200 else f"{text[:200]}..."
    doing = f"the Ray cluster{at} could not be joined" if at else "Ray did not start"
    raise Failed(failures.write(cache_root(), f"{doing} ({type(error).__name__}: {visible(first)})", story)) from error
