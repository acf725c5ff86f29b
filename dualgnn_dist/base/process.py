"""How this process gets memory from the system."""

from __future__ import annotations

import ctypes
import os
import platform

HUGE_PAGES = "THP_MEM_ALLOC_ENABLE"  # torch's environment variable
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # the options of glibc's mallopt
_KEPT = 2**31 - 1  # bytes free at the top of the heap that are not given back
_GROWTH = 64 << 20  # bytes that the heap grows by at a time


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
