"""One and two workers of one core each on a graph that a batch does not saturate: strong and weak scaling.

Each worker is a process pinned to a core of its own, its loader's thread with it: unpinned, one worker's loader would
run on the second core and there would be nothing left to gain. Gloo, as Ray's CPU workers use, without Ray around it.
Halves of a batch reach more than half of its nodes: how many a worker computes is printed too. `apart` is what the
machine itself gives: two workers that share nothing but its memory, each training by itself.

    python benchmarks/worker_scaling.py --interactions 10000000 --batch-sizes 32 256 2048
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import common
import torch
import torch.distributed as dist
import torch.multiprocessing
from scaling import config_of

from dualgnn_dist.base.process import keep_freed_memory
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.launch.run import prepare_store
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.load import load
from dualgnn_dist.training.trainer import Trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=int, default=10_000_000)
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[32, 256, 2048])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--max-item-degree", type=int, default=300)
    parser.add_argument("--output", default="runs/scaling")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    options = parser.parse_intermixed_args()
    prepare_store(config_of(options.interactions, options))
    rows = []
    for batch in options.batch_sizes:
        one = measure(1, batch, options)
        kinds = ("one", 1, batch), ("apart", 2, 2 * batch), ("strong", 2, batch), ("weak", 2, 2 * batch)
        for kind, size, global_batch in kinds:
            if kind == "apart":
                found = measure(2, batch, options, is_apart=True)
            else:
                found = one if size == 1 else measure(size, global_batch, options)
            rate = global_batch / found["seconds"]
            rows.append(
                {
                    "scaling": kind,
                    "global batch": global_batch,
                    "nodes a worker": found["nodes"],
                    "step ms": round(found["seconds"] * 1000, 1),
                    "interactions/s": round(rate),
                    "over one worker": round(rate / (batch / one["seconds"]), 2),
                    "nodes/s over one": round(
                        size * found["nodes"] / found["seconds"] / one["nodes"] * one["seconds"], 2
                    ),
                }
            )
    common.show(f"DualGNN, width {options.width}, {options.interactions:,} interactions, workers of one core", rows)
    common.bars(
        "worker_scaling",
        {f"{row['scaling']}, batch {row['global batch']:,}": row["over one worker"] for row in rows},
        "interactions a second over one worker",
    )
    common.file("worker_scaling", {"rows": rows, "options": vars(options)})


def measure(size: int, batch: int, options: argparse.Namespace, is_apart: bool = False) -> dict[str, Any]:
    """Median seconds of a step on `size` workers, and the nodes of a worker's batch."""
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(work, (size, batch, folder, options, is_apart), nprocs=size)
        return torch.load(Path(folder) / "found", weights_only=True)


def work(rank: int, size: int, batch: int, folder: str, options: argparse.Namespace, is_apart: bool) -> None:
    """A worker; `is_apart`: one that knows of no other."""
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[rank]})
    torch.set_num_threads(1)
    keep_freed_memory()
    is_group = size > 1 and not is_apart
    if is_group:
        dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=size)
    path = Path(options.output) / f"{options.interactions}.yaml"
    config = load(path, [f"sampler.batch_size={batch}", *options.overrides])
    trainer = Trainer.build(config, Store.open(config.data.store), Host(World(rank, size) if is_group else World()))
    seconds, nodes, batches = [], [], trainer.loader.epoch(0)
    for _ in range(options.steps):
        started = time.perf_counter()
        made = next(batches)
        trainer.train_step(made)
        seconds.append(time.perf_counter() - started)
        nodes.append(len(made.around.subgraph.users) + len(made.around.subgraph.items))
    batches.close()
    half = options.steps // 2  # the first steps compile and touch their pages for the first time
    if rank == 0:
        found = {"seconds": statistics.median(seconds[half:]), "nodes": round(statistics.mean(nodes[half:]))}
        torch.save(found, Path(folder) / "found")
    if is_group:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
