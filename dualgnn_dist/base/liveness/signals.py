"""SIGTERM and Ctrl-C, heard whatever the main thread does, and an end within seconds for who insists.

Python runs a handler between two bytecodes of the main thread. One that is in a kernel of minutes, or waits for a
storage that never answers, would hear nothing; so a thread listens beside it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

Tell = Callable[[int, int], None]
SECONDS_OF_ONE = 0.5  # `timeout` and other wrappers pass one signal on twice: to the process, and to its group
_OURS = (signal.SIGTERM, signal.SIGINT)
_ending = threading.Lock()


@contextmanager
def heard(tell: Tell) -> Iterator[None]:
    """Calls `tell(number, how many so far)` in a thread for each SIGTERM and SIGINT that has a handler of Python's.

    What comes within half a second of the last one is the same one.

    The handlers stay what they are. Within another `heard`, both hear. Outside the main thread, where Python allows
    none of this, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ear, mouth = socket.socketpair()
    mouth.setblocking(False)
    before = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=_listen, args=(ear, tell, before), name="signals", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before, warn_on_full_buffer=False)
        mouth.close()
        thread.join(1)
        ear.close()


def _listen(ear: socket.socket, tell: Tell, outer: int) -> None:
    count, last = 0, float("-inf")
    with contextlib.suppress(OSError):
        while numbers := ear.recv(64):
            if outer >= 0:
                os.write(outer, numbers)
            for number in numbers:
                if number in _OURS and time.monotonic() - last > SECONDS_OF_ONE:
                    count, last = count + 1, time.monotonic()
                    tell(number, count)


@contextmanager
def second_ends_at_once() -> Iterator[None]:
    """The first signal does what it does; the second ends this process and what it started."""

    def tell(number: int, count: int) -> None:
        if count > 1:
            end_now(number)

    with heard(tell):
        yield


def end_now(number: int) -> NoReturn:
    """Ends this process and everything that descends from it, whatever state they are in; exit code 128 + `number`."""
    _ending.acquire()  # for good: several may hear the same signal
    with contextlib.suppress(OSError):  # not `say`: the main thread may hold the stream's lock
        os.write(2, b"ended at once, without a checkpoint\n")
    kill_descendants()
    os._exit(128 + number)


def kill_descendants() -> None:
    """Kills all that this process has started and what those have started; a stopped process dies of it too."""
    # Twice: what is killed may have been starting something.
    for _ in range(2):
        for process in descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)


def descendants(process: int) -> list[int]:
    """The ids of the live processes below one, parents first; none where the system has no /proc."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):  # it ended meanwhile
            # The name in brackets may hold anything, brackets too.
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(status.parent.name))
    below, to_visit = [], [process]
    while to_visit:
        found = children.get(to_visit.pop(), [])
        below += found
        to_visit += found
    return below
