"""How long does `prepare` take and how much memory does it need? Interactions against seconds and bytes, by stage.

Raw Parquet is made first, block by block, in the order of time: `user`, `item` (a tenth and a hundredth as many ids as
interactions, integers or texts of 12 characters) and `timestamp`. `--ids synthetic` measures the synthetic format with
three modalities of widths 128, 128 and 384 in its place. Then the verb `prepare` runs as a process of its own. Memory
is RssAnon of /proc/PID/status, sampled 50 times a second: what is resident with no file behind it, so the page cache,
mapped scratch files among it, does not count. There is no rival that makes such a store.

    python benchmarks/prepare.py --sizes 1000000 10000000 --ids int string

On the disk an interaction takes about 20 bytes of raw data, at most 55 of scratch and 25 of store, and a user 8 bytes a
co-user, of which there are up to 200: about 25 GB for 100 M interactions of 10 M users.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import common
import matplotlib
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from dualgnn_dist.data.prepare.formats.synthetic import SyntheticOptions, read_synthetic

matplotlib.use("Agg")
from matplotlib import pyplot

IDS = ("int", "string", "synthetic")
BUCKET_ROWS = 1 << 20
STAGES = ("read", "filter", "split", "interactions", "graphs", "co-occurrence", "features", "commit")
STAGE = re.compile(r"(\S.*?)\s+([\d.]+) s( |$)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=int, default=[1_000_000, 10_000_000])
    parser.add_argument("--ids", nargs="+", choices=IDS, default=["int", "string"])
    parser.add_argument("--folder", help="where raw data and stores go and are removed again; default: a temporary one")
    parser.add_argument("overrides", nargs="*", metavar="prepare.key=value")
    options = parser.parse_intermixed_args()
    rows = []
    for size in options.sizes:
        for ids in options.ids:
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                rows.append({"size": size, "ids": ids, **case(Path(folder), size, ids, options.overrides)})
    for title, key in (("seconds", "seconds"), ("peak anonymous MiB", "mib")):
        common.show(f"prepare: {title}", [{"size": f"{row['size']:,}", "ids": row["ids"], **row[key]} for row in rows])
    draw(rows)
    common.file("prepare", {"rows": rows, "options": {**vars(options), "folder": None}})


def case(folder: Path, size: int, ids: str, overrides: list[str]) -> dict[str, Any]:
    """Seconds and peak memory of every stage."""
    sizes = {"num_interactions": size, "num_users": size // 10, "num_items": size // 100}
    section = ["split=random", "max_item_degree=2000"]
    if ids == "synthetic":
        widths = {"visual_dimension": 128, "acoustic_dimension": 128, "textual_dimension": 384}
        section += ["format=synthetic", *(f"options.{key}={value}" for key, value in {**sizes, **widths}.items())]
    else:
        make_raw(folder / "raw.parquet", SyntheticOptions(**sizes), texts=ids == "string")
        section += ["format=table", f"input={folder / 'raw.parquet'}", "options.timestamp_column=timestamp"]
        section += ["options.id_type=text"] if ids == "string" else []
    return measure([*(f"prepare.{setting}" for setting in section), *overrides], folder / "store")


def measure(overrides: list[str], store: Path) -> dict[str, Any]:
    """Runs the verb in a process of its own."""
    command = [sys.executable, "-m", "dualgnn_dist.prepare", "--output", str(store), *overrides]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    memory = Memory(process.pid)
    seconds, mib = dict.fromkeys(STAGES, 0.0), dict.fromkeys(STAGES, 0)
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        if (stage := STAGE.match(line)) and not line.rstrip().endswith(" left"):  # a stage is over, not under way
            name = stage[1] if stage[1] in STAGES else "features"
            seconds[name] += float(stage[2])
            mib[name] = max(mib[name], memory.peak())
    if process.wait():
        raise SystemExit(f"prepare ended with code {process.returncode}")
    seconds["all"], mib["all"] = time.perf_counter() - started, max(mib.values())
    return {"seconds": seconds, "mib": mib, "store_bytes": sum(file.stat().st_size for file in store.rglob("*.arrow"))}


class Memory:
    """The largest RssAnon of a process since it was last asked for."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._peak = 0
        threading.Thread(target=self._sample, daemon=True).start()

    def peak(self) -> int:
        """In MiB; begins anew."""
        found, self._peak = self._peak, 0
        return found >> 10

    def _sample(self) -> None:
        try:
            while found := re.search(r"RssAnon:\s+(\d+) kB", self._status.read_text()):
                self._peak = max(self._peak, int(found[1]))
                time.sleep(0.02)
        except OSError:
            return  # the process has ended


def make_raw(path: Path, options: SyntheticOptions, texts: bool) -> None:
    """Writes synthetic interactions in random order, under ids that do not ascend with the generator's."""
    generator = np.random.default_rng(1)
    schema = {"user": pa.large_string() if texts else pa.int64(), "item": pa.large_string() if texts else pa.int64()}
    row = 0
    with pq.ParquetWriter(path, pa.schema({**schema, "timestamp": pa.int64()})) as writer:
        for users, items in shuffled(path.parent, options, generator):
            times = np.arange(row, row + len(users))
            row += len(users)
            frame = pl.DataFrame({"user": raw_ids(users, texts), "item": raw_ids(items, texts), "timestamp": times})
            writer.write_table(frame.to_arrow().cast(writer.schema), row_group_size=1 << 17)


def shuffled(
    folder: Path, options: SyntheticOptions, generator: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The interactions in random order: dealt to files at random, and every file shuffled in memory."""
    num_files = -(-options.num_interactions // BUCKET_ROWS)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        files = [(Path(scratch) / str(number)).open("w+b") for number in range(num_files)]
        for block in read_synthetic(None, {}, options).blocks():
            pairs = np.stack([block["user"].to_numpy(), block["item"].to_numpy()], axis=1)
            numbers = generator.integers(num_files, size=len(pairs))
            for number, file in enumerate(files):
                file.write(pairs[numbers == number].tobytes())
        for file in files:
            file.seek(0)
            pairs = np.frombuffer(file.read(), dtype=np.int32).reshape(-1, 2)
            file.close()
            users, items = pairs[generator.permutation(len(pairs))].T
            yield users, items


def raw_ids(rows: np.ndarray, texts: bool) -> pl.Series:
    """Integers below 2^40, one a row and scattered; or the same as 12 characters."""
    ids = pl.Series((rows.astype(np.uint64) * np.uint64(0x9E3779B97F) & np.uint64((1 << 39) - 1)).astype(np.int64))
    return ids.cast(pl.String).str.zfill(12) if texts else ids


def draw(rows: list[dict[str, Any]]) -> None:
    """Peak memory and seconds against the size."""
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), constrained_layout=True)
    for ids in dict.fromkeys(row["ids"] for row in rows):
        chosen = [row for row in rows if row["ids"] == ids]
        sizes = [row["size"] for row in chosen]
        axes[0].plot(sizes, [row["mib"]["all"] / 1024 for row in chosen], marker="o", label=ids)
        axes[1].plot(sizes, [row["seconds"]["all"] for row in chosen], marker="o", label=ids)
    axes[0].axhline(8, color="grey", linestyle="--", linewidth=1)
    for panel, label in zip(axes, ("peak anonymous memory, GiB", "seconds"), strict=True):
        panel.set(xscale="log", yscale="log", xlabel="interactions", ylabel=label)
        panel.grid(alpha=0.3)
    axes[0].legend(title="ids")
    common.RESULTS.mkdir(exist_ok=True)
    figure.savefig(common.RESULTS / "prepare.png", dpi=110)


if __name__ == "__main__":
    main()
