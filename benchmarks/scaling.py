"""What grows with the graph and what with the workers, and what that means for a cluster.

Graph size: the same batch on ever larger synthetic stores, each in a fresh process. Workers: 1 and 2 Ray workers of one
thread each, once with the same global batch (strong) and once with the same batch a worker (weak). `--plan` prints what
8, 64 and 512 GPUs would do from the measured bytes and seconds of a step, and what a data set of MicroLens' size takes.

    python benchmarks/scaling.py --sizes 1000000 10000000 100000000
    python benchmarks/scaling.py --workers
    python benchmarks/scaling.py --plan
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import common
import psutil
import torch
import yaml

from dualgnn_dist.base.process import keep_freed_memory
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.launch.run import prepare_store
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.load import load
from dualgnn_dist.training.trainer import Trainer

GIB = 2**30
MICROLENS = {"users": 34_500_000, "items": 1_140_000, "interactions": 1_007_000_000}
GPUS, GBITS = (8, 64, 512), (25, 400)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="*", type=int, default=[], help="interactions of the stores")
    parser.add_argument("--workers", action="store_true", help="1 and 2 Ray workers")
    parser.add_argument("--plan", action="store_true", help="print the model of a cluster, from the results filed")
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[16, 128, 1024])
    parser.add_argument("--width", type=int, default=16, help="at 64, 10 M users take 23 GB of rows and moments")
    parser.add_argument("--max-item-degree", type=int, default=300)
    parser.add_argument("--gpu-speedup", type=float, default=20.0, help="assumed of one GPU over one CPU thread")
    parser.add_argument("--contender", default="ours", help="row of step_10000000.json that --plan starts from")
    parser.add_argument("--output", default="runs/scaling")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    options = parser.parse_intermixed_args()
    if options.one:
        return print(json.dumps(measure(options.one, *options.batch_sizes, options)))
    if options.sizes:
        graph_sizes(options)
    if options.workers:
        workers(options)
    if options.plan:
        plan(options)


def graph_sizes(options: argparse.Namespace) -> None:
    """Scaling figure 1."""
    rows = []
    for size in options.sizes:
        prepare_store(config_of(size, options))
        for batch_size in options.batch_sizes:
            arguments = ["--one", str(size), "--batch-sizes", str(batch_size), "--width", str(options.width)]
            arguments += ["--max-item-degree", str(options.max_item_degree), "--output", options.output]
            ended = subprocess.run(
                [sys.executable, __file__, *arguments, *options.overrides], capture_output=True, text=True
            )
            if ended.returncode:
                sys.exit(ended.stderr)
            rows.append(json.loads(ended.stdout.splitlines()[-1]))
            print(rows[-1], flush=True)
    for made in rows:
        first = next(other for other in rows if other["batch"] == made["batch"])
        made["us a node"] = round(made["step ms"] * 1000 / made["nodes"], 2)
        made["step over the first"] = round(made["step ms"] / first["step ms"], 2)
    common.show(f"DualGNN, width {options.width}, fanouts 10,5, 4 co-users, 1 worker, 1 thread", rows)
    draw_sizes(rows)
    common.file("scaling_graph", {"rows": rows, "options": vars(options)})


def config_of(size: int, options: argparse.Namespace) -> Any:
    """The run on a store of `size` interactions: ten a user, a hundred an item."""
    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    shape = {"num_interactions": size, "num_users": size // 10, "num_items": size // 100}
    dimensions = {"visual_dimension": 128, "acoustic_dimension": 128, "textual_dimension": 384}
    values = {
        # Exact counts of co-users grow with the square of an item's popularity; the widest items say least.
        "prepare": {
            "format": "synthetic",
            "split": "random",
            "max_item_degree": options.max_item_degree,
            "num_co_users": 40,
            "options": shape | dimensions,
        },
        "data": {"store": str(folder / f"store-{size}")},
        "model": {"name": "dualgnn", "width": options.width},
        "run": {"output": str(folder / "runs")},
    }
    path = folder / f"{size}.yaml"
    path.write_text(yaml.safe_dump(values))
    return load(path, [])


def measure(size: int, batch_size: int, options: argparse.Namespace) -> dict[str, Any]:
    """In a fresh process, which holds nothing of another measurement: open, train some steps, look at the memory."""
    config_of(size, options)
    config = load(Path(options.output) / f"{size}.yaml", [f"sampler.batch_size={batch_size}", *options.overrides])
    torch.set_num_threads(1)
    keep_freed_memory()
    started = time.perf_counter()
    store = Store.open(config.data.store)
    opened = time.perf_counter() - started
    trainer = Trainer.build(config, store, Host(World()))
    found = steps(trainer, 12 if batch_size > 500 else 40)
    table = sum(t.state.values.nbytes * 3 + t.state.last_step.nbytes for t in trainer.state.tables.values())
    private = anonymous_bytes()
    memory = {
        "resident GiB": round(psutil.Process().memory_info().rss / GIB, 2),
        "private GiB": round(private / GIB, 2),
        "table GiB": round(table / GIB, 2),
        "private beside it GiB": round((private - table) / GIB, 2),
    }
    return {"interactions": size, "batch": batch_size, "open ms": round(opened * 1000, 2), **found, **memory}


def anonymous_bytes() -> int:
    """Resident memory with no file behind it: a store's mapped pages are shared by all workers of a node."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1]) * 1024


def steps(trainer: Trainer, count: int) -> dict[str, Any]:
    """Median seconds of a step and what of it was waiting for the loader's thread."""
    seconds, waited, batches = [], [], trainer.loader.epoch(0)
    for _ in range(count):
        before, started = trainer.loader.waiting_seconds, time.perf_counter()
        batch = next(batches)
        trainer.train_step(batch)
        seconds.append(time.perf_counter() - started)
        waited.append(trainer.loader.waiting_seconds - before)
    batches.close()
    graph = batch.around.subgraph
    half = count // 2  # the first steps compile, touch their pages for the first time, and fill the queue
    return {
        "step ms": round(statistics.median(seconds[half:]) * 1000, 1),
        "waiting": round(sum(waited[half:]) / sum(seconds[half:]), 3),
        "nodes": len(graph.users) + len(graph.items),
    }


def draw_sizes(rows: list[dict[str, Any]]) -> None:
    """Step time and private memory against the graph."""
    figure, axes = common.pyplot.subplots(1, 2, figsize=(10, 3.6), constrained_layout=True)
    for batch in dict.fromkeys(row["batch"] for row in rows):
        own = [row for row in rows if row["batch"] == batch]
        axes[0].plot(
            *zip(*((row["interactions"], row["step ms"]) for row in own), strict=True), "o-", label=f"batch {batch:,}"
        )
    own = [row for row in rows if row["batch"] == rows[0]["batch"]]
    for name in ("table GiB", "private GiB"):
        axes[1].plot(*zip(*((row["interactions"], row[name]) for row in own), strict=True), "o-", label=name)
    axes[0].set(xscale="log", yscale="log", xlabel="interactions", ylabel="ms a step")
    axes[1].set(xscale="log", xlabel="interactions", ylabel="GiB of a worker")
    for panel in axes:
        panel.legend()
        panel.grid(alpha=0.3)
    figure.savefig(common.RESULTS / "scaling_graph.png", dpi=110)


def workers(options: argparse.Namespace) -> None:
    """Scaling figure 2: interactions a second of the best epoch, strong and weak."""
    rows = []
    size = 1_000_000
    for kind, count, batch in (("one", 1, 4096), ("strong", 2, 4096), ("weak", 2, 8192)):
        name = f"{kind}_{count}"
        config_of(size, options)
        found = common.run(
            str(Path(options.output) / f"{size}.yaml"),
            [
                f"resources.num_workers={count}",
                "resources.cpus_per_worker=1",
                f"sampler.batch_size={batch}",
                "train.epochs=3",
                "train.eval_every=3",
                f"run.name={name}",
            ],
        )
        lines = (Path(found["folder"]) / "history.jsonl").read_text().splitlines()
        epochs = [json.loads(line)["training"] for line in lines if "training" in line]
        rows.append(
            {
                "scaling": kind,
                "workers": count,
                "global batch": batch,
                "epoch s": round(min(epoch["seconds"] for epoch in epochs), 2),
                "interactions/s": round(max(epoch["interactions_per_second"] for epoch in epochs)),
                "waiting": round(min(epoch["waiting_share"] for epoch in epochs), 3),
            }
        )
        rows[-1]["over one worker"] = round(rows[-1]["interactions/s"] / rows[0]["interactions/s"], 2)
    common.show(f"DualGNN, width {options.width}, 1 M interactions, Ray workers of one thread", rows)
    common.bars(
        "scaling_workers",
        {f"{row['scaling']} ({row['workers']})": row["interactions/s"] for row in rows},
        "interactions/s",
    )
    common.file("scaling_workers", {"rows": rows, "options": vars(options)})


def plan(options: argparse.Namespace) -> None:
    """A cluster by arithmetic from results filed: what is measured and what is assumed stands in the print."""
    step, sizes = (json.loads((common.RESULTS / f"{n}.json").read_text()) for n in ("step_10000000", "scaling_graph"))
    ours = next(row for row in step["rows"] if row["contender"] == options.contender)
    nodes = {row["interactions"]: row["nodes"] for row in sizes["rows"] if row["batch"] == 1024}
    growth = max(nodes.values()) / nodes[10_000_000]  # a batch reaches more of a larger graph
    batch, width, users = 1024, 64, round(ours["users of a batch"] * growth)
    row_width = 3 * width + 3  # preferences in three modalities, fusion weights
    dense = 4 * sum(d * 4 * width + 4 * width * width for d in (128, 128, 384))
    compute = ours["step s"] * growth * step["options"]["threads"] / options.gpu_speedup
    rows = []
    for gpus in GPUS:
        away = (gpus - 1) / gpus
        fetched = users * (8 + 4 * row_width) * away
        returned = users * 4 * row_width * away
        reduced = 2 * dense * away
        for gbit in GBITS:
            seconds = compute + (fetched + returned + reduced) * 8 / (gbit * 1e9)
            rate = gpus * batch / seconds
            rows.append(
                {
                    "GPUs": gpus,
                    "Gbit/s": gbit,
                    "fetch MB": round(fetched / 1e6, 1),
                    "return MB": round(returned / 1e6, 1),
                    "dense MB": round(reduced / 1e6, 2),
                    "step ms": round(seconds * 1000, 1),
                    "interactions/s": round(rate),
                    "hours an epoch of MicroLens": round(MICROLENS["interactions"] * 0.8 / rate / 3600, 2),
                    "rows GB a GPU": round(MICROLENS["users"] * row_width * 4 * 3 / gpus / 1e9, 1),
                }
            )
    common.show("a plan: batch 1,024 a GPU, width 64, fanouts 10,5, 4 co-users", rows)
    size = store_size(MICROLENS)
    threads, parts = step["options"]["threads"], ", ".join(f"{name} {value:.1f}" for name, value in size.items())
    print(
        f"Measured: {ours['step s']} s a step on {threads} CPU threads ({options.contender}); on {max(nodes):,} "
        f"interactions a batch has {growth:.2f} times the nodes: taken as {users:,} users and so many more seconds.\n"
        f"Assumed: a GPU does {options.gpu_speedup:g} times one CPU thread; each has a network link of its own; "
        "nothing overlaps; 1 row in N is at home; an all-reduce moves its tensor twice.\n"
        f"MicroLens' store: {sum(size.values()):.0f} GB a node ({parts})."
    )
    common.file("scaling_plan", {"rows": rows, "store_gb": size, "options": vars(options)})


def store_size(data: Mapping[str, int], num_co_users: int = 40, feature_bytes: int = 640 * 2) -> dict[str, float]:
    """Gigabytes of a store: see `architecture`; features as float16 of 640 numbers an item."""
    return {
        "interactions": data["interactions"] * 8 / 1e9,
        "graphs": (data["interactions"] * 8 + (data["users"] + data["items"]) * 8) / 1e9,
        "co-occurrence": data["users"] * num_co_users * 8 / 1e9,
        "features": data["items"] * feature_bytes / 1e9,
        "ids": (data["users"] + data["items"]) * 8 / 1e9,
    }


if __name__ == "__main__":
    main()
