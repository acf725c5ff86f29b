"""Random rows of a memory-mapped modality: the store's column in shards against one `np.memmap` of the same numbers.

A model in float32 is fed float32, so `memmap[rows].astype(float32)` makes the same output; one in bfloat16 is fed
bfloat16, which is as many bytes as `memmap[rows]` alone, which leaves float16, writes. Private memory is what the
process holds for itself more than before, once it has gathered every row a thousand at a time: the rows themselves stay
in the page cache.

    python benchmarks/features.py
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import common
import matplotlib
import numpy as np
import psutil
import pyarrow as pa
import torch

from dualgnn_dist.base.process import keep_freed_memory
from dualgnn_dist.data.store.columns import DenseColumn
from dualgnn_dist.data.store.schema import ModalityInfo, shard_file
from dualgnn_dist.data.store.shards import map_shard
from dualgnn_dist.data.store.writer import StoreWriter

matplotlib.use("Agg")
from matplotlib import pyplot


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--rows", type=int, nargs="+", default=[49_000, 200_000])
    parser.add_argument("--rows-per-shard", type=int, default=1 << 17)
    parser.add_argument("--calls", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        column, table = write(Path(folder), options)
        table.view(np.uint16).max()  # into the page cache
        column.gather(np.arange(1))  # compiles
        before = private_bytes()
        for start in range(0, options.items, 1000):
            column.gather(np.arange(start, min(start + 1000, options.items)))
        held = private_bytes() - before
        keep_freed_memory()  # as a worker does: else the time is that of the kernel making pages for the output
        rows = [row for number in options.rows for row in measure(column, table, number, options)]
    common.show(f"rows of a {options.items:,} x {options.dimension} float16 modality, one thread and two", rows)
    print(f"private memory grew by {held / 2**20:.1f} MiB; the table has {table.nbytes / 2**20:.0f} MiB")
    draw(rows)
    common.file("features", {"rows": rows, "private_mib": held / 2**20, "options": vars(options)})


def write(folder: Path, options: argparse.Namespace) -> tuple[DenseColumn, np.ndarray]:
    """The same numbers as a store's shards and as one file."""
    generator = np.random.default_rng(0)
    size, dimension = options.rows_per_shard, options.dimension
    with StoreWriter(folder / "store", size) as writer, (folder / "plain").open("wb") as file:
        for start in range(0, options.items, size):
            shape = (min(size, options.items - start), dimension)
            vectors = generator.integers(-128, 128, shape, dtype=np.int8).astype(np.float16)
            file.write(vectors.data)
            feature = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), dimension)
            writer.append("features/visual", {"feature": feature})
        info = ModalityInfo(kind="dense", dimension=dimension, dtype="float16", num_present=options.items)
        writer.commit(
            num_users=0,
            num_items=options.items,
            num_interactions=dict.fromkeys(("train", "valid", "test"), 0),
            modalities={"visual": info},
            settings={},
            sources={},
        )
    files = [folder / "store" / shard_file("features/visual", k) for k in range(-(-options.items // size))]
    column = DenseColumn(info, size, [map_shard(path)["feature"] for path in files])
    return column, np.memmap(folder / "plain", dtype=np.float16, mode="r", shape=(options.items, dimension))


def private_bytes() -> int:
    return psutil.Process().memory_info().rss - psutil.Process().memory_info().shared


def measure(column: DenseColumn, table: np.ndarray, number: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The ways take turns over the same rows; then each gathers two sets of rows, in one thread and in two."""
    ways: dict[str, Callable[[np.ndarray], Any]] = {
        "ours (float32)": lambda rows: column.gather(rows).values,
        "ours (bfloat16)": lambda rows: column.gather(rows, as_bfloat16=True).values,
        "np.memmap, widened to float32": lambda rows: table[rows].astype(np.float32),
        "np.memmap, left as float16": lambda rows: table[rows],
    }
    alone: dict[str, list[float]] = {name: [] for name in ways}
    paired: dict[str, list[float]] = {name: [] for name in ways}
    generator = np.random.default_rng(number)
    with ThreadPoolExecutor(2) as threads:
        for _ in range(options.calls):
            parts = [generator.choice(options.items, number, replace=False).astype(np.int32) for _ in range(2)]
            expected = table[parts[0][:1000]]
            for name, gather in ways.items():
                started = time.perf_counter()
                gathered = gather(parts[0])
                alone[name].append(time.perf_counter() - started)
                if gathered.dtype != torch.bfloat16:  # whose rounding a test holds
                    assert np.array_equal(gathered[:1000], expected)
                del gathered
                started = time.perf_counter()
                list(threads.map(lambda rows, gather=gather: len(gather(rows)), parts))
                paired[name].append(time.perf_counter() - started)
    return [
        {
            "rows": f"{number:,}",
            "gathered by": name,
            "ms": min(alone[name]) * 1e3,
            "median ms": float(np.median(alone[name])) * 1e3,
            "GB/s read": number * table.shape[1] * 2 / min(alone[name]) / 1e9,
            "two threads": 2 * min(alone[name]) / min(paired[name]),
        }
        for name in ways
    ]


def draw(rows: list[dict[str, Any]]) -> None:
    """The bars."""
    figure, axes = pyplot.subplots(figsize=(8, 2.8), constrained_layout=True)
    axes.barh([f"{row['gathered by']}, {row['rows']} rows" for row in rows][::-1], [row["ms"] for row in rows][::-1])
    axes.set(xlabel="ms a call, one thread")
    figure.savefig(common.RESULTS / "features.png", dpi=110)


if __name__ == "__main__":
    main()
