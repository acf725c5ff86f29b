"""What a checkpoint costs: seconds, bytes, and the share of the ten minutes between two of them.

The state is that of DualGNN on a million users and three modalities at width 64: a table of 192 columns with both
moments, and dense weights; one worker writes it. Checked is what is read: every byte hashed, then loaded.

    python benchmarks/checkpoint.py --users 1000000 --width 192
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import torch

from dualgnn_dist.base.table_part import TablePart, xavier_normal
from dualgnn_dist.base.world import World
from dualgnn_dist.embeddings.config import AdamConfig
from dualgnn_dist.embeddings.sharded_table import ShardedTable
from dualgnn_dist.training import checkpoint
from dualgnn_dist.training.state import parts_not_finite

MINUTES = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--output", default="runs/checkpoint", help="on the disk that is to be measured")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    world = World(num_threads=options.threads)
    parts = {"id": TablePart(options.width, xavier_normal)}
    table = ShardedTable("users", options.users, parts, world, 1, AdamConfig(learning_rate=0.001))
    model = torch.nn.Linear(640, 192)
    folder = Path(options.output) / "epoch-00001"
    rows: list[dict[str, Any]] = []

    def save() -> None:
        checkpoint.save(
            folder, world, dense=model.state_dict(), dense_optimizer={}, tables={"users": table}, progress={"epoch": 1}
        )

    stages: dict[str, Callable[[], Any]] = {
        "look for what is not finite": lambda: parts_not_finite(model, None, {"users": table}),
        "write": save,
        "check": lambda: checkpoint.check(folder, world),
        "load, checked": lambda: checkpoint.load(folder, world, tables={"users": table}, is_checked=True),
    }
    try:
        for stage, work in stages.items():
            seconds = min(timed(work) for _ in range(options.times))
            rows.append({"stage": stage, "seconds": seconds, "share of 10 minutes": seconds / (60 * MINUTES)})
        num_bytes = sum(path.stat().st_size for path in folder.iterdir())
    finally:
        shutil.rmtree(options.output, ignore_errors=True)
    common.show(f"{options.users:,} users x {options.width} columns: {num_bytes / 1e9:.2f} GB a checkpoint", rows)
    common.file("checkpoint", {"rows": rows, "bytes": num_bytes, "options": vars(options)})


def timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
