"""Whether anything grows: memory, open files and threads of one long run, and of many short runs in one process.

    python benchmarks/soak.py --minutes 20 --runs 200

Every run trains in this process, so what grows is ours and not a worker's that is ended. The last fifth of
the readings of each part is compared with the middle one: what leaks grows still, what is merely warmed up does not.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from common import file

from dualgnn_dist.launch.run import start_run
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.load import load

SECONDS_BETWEEN_READINGS = 1.0
ALLOWED_GROWTH = 0.02  # of memory, from the middle fifth to the last; files and threads may not grow at all


@dataclass(frozen=True)
class Reading:
    """Of this process at one moment: resident bytes, open files (sockets and pipes too), threads."""

    bytes: int
    files: int
    threads: int

    @classmethod
    def now(cls) -> Reading:
        """Takes one."""
        process = psutil.Process()
        return cls(process.memory_info().rss, process.num_fds(), process.num_threads())


class Readings:
    """A list that a thread adds to while a block runs."""

    def __init__(self) -> None:
        self.all: list[Reading] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Readings:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._ended.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_READINGS):
            self.all.append(Reading.now())


def verdict(name: str, readings: list[Reading]) -> dict[str, object]:
    """The middle fifth beside the last, and whether the last is higher."""
    fifth = max(len(readings) // 5, 1)
    middle, last = readings[2 * fifth : 3 * fifth], readings[-fifth:]
    rows = {
        kind: [statistics.median_high(getattr(reading, kind) for reading in part) for part in (middle, last)]
        for kind in ("bytes", "files", "threads")
    }
    is_flat = rows["bytes"][1] <= rows["bytes"][0] * (1 + ALLOWED_GROWTH) and all(
        rows[kind][1] <= rows[kind][0] for kind in ("files", "threads")
    )
    print(
        f"{name}: {len(readings)} readings; medians in the middle and at the end: memory "
        + " -> ".join(f"{number / 2**20:,.0f} MiB" for number in rows["bytes"])
        + ", files " + " -> ".join(map(str, rows["files"]))
        + ", threads " + " -> ".join(map(str, rows["threads"]))
        + (": flat" if is_flat else ": GROWS")
    )  # fmt: skip
    return {"readings": len(readings), **rows, "is_flat": is_flat}


def long_run(folder: Path, minutes: float) -> list[Reading]:
    """One run that is asked to stop when the time is up."""
    config = configured(folder, "long", ["train.epochs=1000000", "train.patience=null", "checkpoint.every_steps=200"])
    stop = folder / "runs" / "long" / "stop"
    timer = threading.Timer(60 * minutes, lambda: stop.write_text("SIGTERM"))
    timer.start()
    with Readings() as readings:
        try:
            start_run(config)
        except Exception as error:  # Stopped, as asked
            print(f"ended: {type(error).__name__}: {str(error)[:100]}")
    return readings.all


def short_runs(folder: Path, number: int) -> list[Reading]:
    """A reading after each."""
    readings = []
    for index in range(number):
        start_run(configured(folder, f"short-{index:03d}", ["train.epochs=2", "train.eval_every=1"]))
        gc.collect()
        readings.append(Reading.now())
    return readings


def configured(folder: Path, name: str, overrides: list[str]) -> RunConfig:
    """The debug config's run in a folder."""
    places = [f"data.store={folder / 'store'}", f"run.output={folder / 'runs'}", f"run.name={name}"]
    return load("debug", [*places, *overrides])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20, help="of the long run")
    parser.add_argument("--runs", type=int, default=200, help="short ones")
    options = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        results = {
            "short": verdict(f"{options.runs} short runs", short_runs(folder, options.runs)),
            "long": verdict(f"one run of {options.minutes:g} minutes", long_run(folder, options.minutes)),
        }
    file("soak", {**results, "seconds": time.perf_counter() - started})


if __name__ == "__main__":
    main()
