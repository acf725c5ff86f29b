"""What is set for a whole process: freed memory handed out again, rows in threads, numbers that count as zero."""

from __future__ import annotations

import platform
import subprocess
import sys
import threading
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pytest
import torch

from dualgnn_dist import __version__
from dualgnn_dist.base import process
from dualgnn_dist.base.process import denormals_flushed, in_threads, peak_memory_bytes, versions

# In a process of its own: the setting is the process's.
PROGRAM = """
import resource, sys
import torch
from dualgnn_dist.base.process import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()
for _ in range(20):
    torch.ones(16 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(16 << 20)  # 64 MiB
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> int:
    ended = subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, check=True)
    return int(ended.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that can be told")
def test_a_large_tensor_takes_the_place_of_the_last_one() -> None:
    assert page_faults("keep") < 100 < page_faults("default")


@pytest.mark.parametrize("num_rows", [0, 1, 2047, 4096, 10_007])
@pytest.mark.parametrize("num_threads", [1, 2, 3])
def test_rows_in_threads_are_each_done_once(num_rows: int, num_threads: int) -> None:
    done, ranges = np.zeros(num_rows, dtype=np.int64), []

    def add(array: np.ndarray, amount: int, start: int, stop: int) -> None:
        array[start:stop] += amount
        ranges.append((start, stop, threading.get_ident()))

    in_threads(add, num_rows, num_threads, done, 3)
    assert (done == 3).all()
    assert len(ranges) == max(1, min(num_threads, num_rows // 2048))
    if len(ranges) == 1:
        assert ranges == [(0, num_rows, threading.get_ident())]  # no other thread is asked for little


def test_what_goes_wrong_in_a_thread_is_raised() -> None:
    def fail(start: int, stop: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_threads(fail, 10_000, 2)


def halved() -> float:
    return float(torch.tensor(torch.finfo(torch.float32).tiny) / 2)


def test_tiny_numbers_count_as_zero_meanwhile_and_not_afterwards() -> None:
    assert halved() > 0
    with pytest.raises(KeyError), denormals_flushed():
        assert halved() == 0
        with denormals_flushed():
            pass
        assert halved() == 0  # as it was found
        raise KeyError
    assert halved() > 0


def test_versions_leave_out_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert versions()["dualgnn_dist"] == __version__ and versions()["torch"] == version("torch")
    assert {"ray", "numba", "numpy", "python", "platform"} <= versions().keys()

    def without_ray(name: str) -> str:
        if name == "ray":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(process, "version", without_ray)
    assert "ray" not in versions() and versions()["numba"] == version("numba")


def test_peak_memory_is_in_bytes_and_never_falls() -> None:
    before = peak_memory_bytes()
    held = np.ones(before // 8 + (8 << 20))  # more than the process has ever held, so that the peak must rise
    assert peak_memory_bytes() >= held.nbytes > before
    del held
    assert peak_memory_bytes() > before
