"""What does the shape of a log cost? Seconds and memory of `prepare` from the same interactions as text and as columns.

The interactions of `benchmarks/prepare.py` with integer ids, and with times as numbers (ISO texts under `-iso`), are
written in every shape asked for; `parts` is a folder of gzipped CSV files of at most 250,000 rows in folders by `day=`.
The verb runs as a process of its own, memory is measured as there. `--package` measures another checkout beside this
one, which may refuse what it does not know.

    python benchmarks/reading.py --interactions 10000000
    python benchmarks/reading.py --interactions 100000000 --shapes parts
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import common
import polars as pl
from prepare import make_raw, measure

from dualgnn_dist.data.prepare.formats.synthetic import SyntheticOptions

PART_ROWS = 250_000
PARTS_A_DAY = 8
COLUMNS = ("shape", "package", "read s", "filter to graphs s", "all s", "read MiB", "peak MiB", "file MiB", "error")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=int, default=1_000_000)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--package", help="another checkout, which is measured beside this one")
    parser.add_argument("--folder", help="where raw data and stores go and are removed again; default: a temporary one")
    parser.add_argument("--name", default="reading", help="of the file in benchmarks/results")
    options = parser.parse_args()
    packages = {"this": str(Path(__file__).parents[1])}
    if options.package:
        packages["other"] = str(Path(options.package).absolute())
    rows = []
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        sizes = {"num_users": options.interactions // 10, "num_items": options.interactions // 100}
        raw = folder / "raw.parquet"
        make_raw(raw, SyntheticOptions(num_interactions=options.interactions, **sizes), texts=False)
        for shape in options.shapes:
            path = SHAPES[shape](raw, folder)
            rows += [one(shape, path, package, root, folder) for package, root in packages.items()]
            if path != raw:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    common.show(
        f"prepare of {options.interactions:,} interactions", [{key: row[key] for key in COLUMNS} for row in rows]
    )
    common.file(options.name, {"rows": rows, "options": {**vars(options), "folder": None, "package": None}})


def one(shape: str, path: Path, package: str, root: str, folder: Path) -> dict[str, Any]:
    """A row of the result."""
    os.environ["PYTHONPATH"] = root
    os.chdir(folder)  # where no package lies: Python looks there first
    section = ["format=table", f"input={path}", "options.timestamp_column=timestamp", "split=leave_one_out"]
    overrides = [f"prepare.{setting}" for setting in [*section, "max_item_degree=2000"]]
    row = dict.fromkeys(COLUMNS, "") | {"shape": shape, "package": package, "file MiB": size_of(path) >> 20}
    print(f"-- {shape}, {package}", flush=True)
    started = time.perf_counter()
    try:
        measured = measure(overrides, folder / "store")
    except SystemExit as error:
        return row | {"error": str(error), "all s": round(time.perf_counter() - started, 1)}
    seconds = measured["seconds"]
    shutil.rmtree(folder / "store")
    later = sum(seconds[stage] for stage in ("filter", "split", "interactions", "graphs"))
    figures = {"read s": seconds["read"], "filter to graphs s": later, "all s": seconds["all"]}
    return (
        row
        | {name: round(value, 1) for name, value in figures.items()}
        | {
            "read MiB": measured["mib"]["read"],
            "peak MiB": measured["mib"]["all"],
        }
    )


def size_of(path: Path) -> int:
    """In bytes, of a file or of all in a folder."""
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def blocks(raw: Path, num_rows: int) -> Iterator[pl.DataFrame]:
    yield from pl.scan_parquet(raw).collect_batches(chunk_size=num_rows, maintain_order=True)


def text(lines_of: Callable[[pl.DataFrame, bool], str], ending: str, iso: bool = False) -> Callable[[Path, Path], Path]:
    """A maker of one text file, gzipped where its ending says so."""

    def run(raw: Path, folder: Path) -> Path:
        path = folder / f"log{ending}"
        with gzip.open(path, "wb", compresslevel=1) if ending.endswith(".gz") else path.open("wb") as file:
            for number, block in enumerate(blocks(raw, PART_ROWS)):
                if iso:
                    times = pl.from_epoch(pl.col("timestamp") + 1_600_000_000).dt.strftime("%Y-%m-%dT%H:%M:%SZ")
                    block = block.with_columns(timestamp=times)
                file.write(lines_of(block, number == 0).encode())
        return path

    return run


def csv(block: pl.DataFrame, is_first: bool) -> str:
    return block.write_csv(include_header=is_first)


def json_lines(block: pl.DataFrame, is_first: bool) -> str:
    return block.write_ndjson()


def parts(raw: Path, folder: Path) -> Path:
    """A folder of gzipped parts by days."""
    root = folder / "parts"
    for number, block in enumerate(blocks(raw, PART_ROWS)):
        below = root / f"day={number // PARTS_A_DAY:04}"
        below.mkdir(parents=True, exist_ok=True)
        with gzip.open(below / f"part-{number:05}.csv.gz", "wb", compresslevel=1) as file:
            file.write(block.write_csv().encode())
    return root


SHAPES: dict[str, Callable[[Path, Path], Path]] = {
    "parquet": lambda raw, folder: raw,
    "csv": text(csv, ".csv"),
    "csv-iso": text(csv, ".csv", iso=True),
    "jsonl.gz": text(json_lines, ".jsonl.gz"),
    "parts": parts,
}


if __name__ == "__main__":
    main()
