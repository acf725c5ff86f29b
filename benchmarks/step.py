"""Does a step cost the same whatever the graph's size? The same batch on ever larger synthetic stores.

python benchmarks/step.py --sizes 100000 1000000 10000000
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from pathlib import Path

import common
import yaml

from dualgnn_dist.config import load
from dualgnn_dist.prepare import ensure_store
from dualgnn_dist.store.reader import Store
from dualgnn_dist.trainer import Trainer
from dualgnn_dist.world import World


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=int, default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--model", default="dualgnn")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(size, options, Path(folder)) for size in options.sizes]
    common.show(f"{options.model}, one worker, {options.threads} thread(s), batch 1,024, fanouts 10,5", rows)
    common.file(f"step_{options.model}", {"rows": rows, "threads": options.threads})


def measure(size: int, options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """A store of `size` interactions: seconds to make it, to open it, and for a step."""
    shape = {"num_interactions": size, "num_users": size // 25, "num_items": max(1000, size // 100)}
    values = {
        # Exact counts of co-users grow with the square of an item's popularity; the widest items say least.
        "prepare": {"format": "synthetic", "split": "random", "max_item_degree": 2000, "options": shape},
        "data": {"store": str(folder / f"store-{size}")},
        "model": {"name": options.model},
        "sampler": {"batch_size": 1024},
        "run": {"output": str(folder / "runs")},
    }
    path = folder / f"{size}.yaml"
    path.write_text(yaml.safe_dump(values))
    config = load(path)
    started = time.perf_counter()
    ensure_store(config)
    prepared = time.perf_counter()
    store = Store.open(config.data.store)
    opened = time.perf_counter()
    trainer = Trainer(config, store, World(num_threads=options.threads))
    sampling, updating = [], []
    for step in range(options.steps):
        began = time.perf_counter()
        batch = trainer.loader.batch(0, step)
        sampled = time.perf_counter()
        trainer.train_step(batch)
        sampling.append(sampled - began)
        updating.append(time.perf_counter() - sampled)
    return {
        "interactions": f"{size:,}",
        "users": f"{shape['num_users']:,}",
        "items": f"{shape['num_items']:,}",
        "prepare s": round(prepared - started, 1),
        "open ms": round((opened - prepared) * 1000, 1),
        "batch ms": round(statistics.median(sampling) * 1000, 1),
        "step ms": round(statistics.median(updating) * 1000, 1),
        "nodes of a batch": len(batch.around.subgraph.users) + len(batch.around.subgraph.items),
        "peak MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


if __name__ == "__main__":
    main()
