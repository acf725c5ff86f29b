"""What is set, asked and shared for a whole process: memory, threads, the processor's numbers, versions."""

from __future__ import annotations

import ctypes
import functools
import itertools
import os
import platform
import resource
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch

from dualgnn_dist import __version__

HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"  # torch's environment variable
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # the options of glibc's mallopt
_KEPT = 2**31 - 1  # bytes free at the top of the heap that are not given back
_GROWTH = 64 << 20  # bytes that the heap grows by at a time
_MIN_ROWS_PER_THREAD = 2048  # below this, handing rows to another thread costs more than it saves
_SMALLEST_NORMAL = torch.finfo(torch.float32).tiny
_VERSIONS_OF = ("torch", "ray", "pyarrow", "numpy", "numba")


def keep_freed_memory() -> bool:
    """Lets the C library hand freed memory out again rather than return it to the system; whether that could be set.

    A training step makes and frees the same hundreds of megabytes. By default every tensor above 32 MB is mapped anew,
    and the kernel zeroes its pages one by one: a third of a step on a CPU. The most that is held does not change, but
    it is held to the end of the process. For glibc; elsewhere it does nothing.

    Tensors of 2 MB and more made after this lie in huge pages where the kernel grants them to who asks (`madvise` or
    `always` in /sys/kernel/mm/transparent_hugepage/enabled): a pass over a large layer is twice as fast. torch looks at
    the variable when it first makes a tensor; what the user has set stands.
    """
    os.environ.setdefault(HUGE_PAGES, "1")
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(
        mallopt(option, value) for option, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _KEPT), (_TOP_PAD, _GROWTH))
    )


@contextmanager
def single_threaded_torch(num_threads: int, device: torch.device) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads, in each of which torch computes on `device`, and on a CPU with that thread alone.

    It is set in each thread, as some products read the caller's setting; that changes this thread's too, which has its
    own back afterwards.
    """
    threads_before = torch.get_num_threads()

    def begin() -> None:
        torch.set_num_threads(1)
        if device.type == "cuda":  # a new thread has no device of its own, and cuBLAS warns of it
            torch.cuda.set_device(device)

    try:
        with ThreadPoolExecutor(num_threads, initializer=begin) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads_before)


def peak_memory_bytes() -> int:
    """The most that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@functools.cache
def _pool(num_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(num_threads, thread_name_prefix="rows")


def in_threads(kernel: Callable[..., None], num_rows: int, num_threads: int, *arguments: Any) -> None:
    """Runs `kernel(*arguments, start, stop)` over ranges of rows; no two ranges may write the same row."""
    num_ranges = max(1, min(num_threads, num_rows // _MIN_ROWS_PER_THREAD))
    if num_ranges == 1:
        return kernel(*arguments, 0, num_rows)
    bounds = np.linspace(0, num_rows, num_ranges + 1).astype(np.int64).tolist()
    work = [_pool(num_threads).submit(kernel, *arguments, *bound) for bound in itertools.pairwise(bounds)]
    for future in work:
        future.result()


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Numbers below the smallest normal float32 count as zero meanwhile.

    A model that collapses to zero would otherwise take twenty times as long. It is a setting of the processor, not of
    torch: left on, it would change what the caller of a run in this process computes afterwards.
    """
    already = float(torch.tensor(_SMALLEST_NORMAL) / 2) == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(already)


def versions() -> dict[str, str]:
    """Of this program and of what decides its numbers; what is not installed decides none and is left out."""
    numbers = {"dualgnn_dist": __version__, "python": platform.python_version(), "platform": platform.platform()}
    for name in _VERSIONS_OF:
        with suppress(PackageNotFoundError):
            numbers[name] = version(name)
    return numbers
