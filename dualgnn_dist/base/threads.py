"""Ranges of rows handed to threads, for kernels that hold no lock."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

_MIN_ROWS_PER_THREAD = 2048  # below this, handing rows to another thread costs more than it saves


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
