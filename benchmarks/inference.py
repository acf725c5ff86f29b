"""Exact representations of everything: layer by layer, beside what many toolkits do, batches with every neighbour.

The rival asks for the whole two-hop neighbourhood of each batch of users and items. It is timed on some batches and
multiplied up; its vectors must equal ours.

    python benchmarks/inference.py --interactions 1000000 --threads 2
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import common
import numpy as np
import psutil
import torch
import yaml

from dualgnn_dist.base.process import keep_freed_memory
from dualgnn_dist.base.world import World
from dualgnn_dist.evaluation.inference import infer
from dualgnn_dist.evaluation.representations import Representations
from dualgnn_dist.launch.run import prepare_store
from dualgnn_dist.sampling.wanted import Wanted
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.load import load
from dualgnn_dist.training.trainer import Trainer

BATCH = 1024
MODELS = ("lightgcn", "dualgnn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", type=int, default=3, help="of the rival that are timed")
    parser.add_argument("--output", default="runs/inference")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    rows = [measure(model, options) for model in MODELS]
    common.show(f"{options.interactions:,} interactions, 2 layers, {options.threads} threads", rows)
    ways = {"ours": "by layer", "batches with all neighbours": "by batch"}
    bars = {f"{name}, {row['model']}": row[f"{way} s"] for row in rows for name, way in ways.items()}
    common.bars("inference", bars, "seconds for everything")
    common.file("inference", {"rows": rows, "options": vars(options)})


def measure(model: str, options: argparse.Namespace) -> dict[str, Any]:
    """A line of the table: both ways on one store and one untrained model."""
    trainer = make_trainer(model, options)
    state, world = trainer.state, World(num_threads=options.threads)
    before = psutil.Process().memory_full_info().uss
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        exact = infer(state.model, state.tables, trainer.evaluator.store, world)
        seconds.append(time.perf_counter() - started)
    grown = psutil.Process().memory_full_info().uss - before
    by_batch, error = rival(trainer, exact, options.batches)
    return {
        "model": model,
        "users": len(exact.users),
        "items": len(exact.items),
        "by layer s": round(min(seconds), 2),
        "by batch s": round(by_batch, 1),
        "faster by": round(by_batch / min(seconds), 1),
        "largest difference": f"{error:.1e}",
        "private MiB grown": grown >> 20,
    }


@torch.no_grad()
def rival(trainer: Trainer, exact: Representations, num_batches: int) -> tuple[float, float]:
    """Seconds for all users and items, from `num_batches` of each; and how far its vectors are from ours."""
    num_users, num_items = len(exact.users), len(exact.items)
    total, error = 0.0, 0.0
    generator = np.random.default_rng(1)
    for side, count in (("users", num_users), ("items", num_items)):
        started = time.perf_counter()
        for _ in range(num_batches):
            chosen = np.sort(generator.choice(count, min(BATCH, count), replace=False)).astype(np.int32)
            nobody = np.empty(0, dtype=np.int32)
            found = represent(trainer, *((chosen, nobody) if side == "users" else (nobody, chosen)))
            vectors, expected = (found[0], exact.users) if side == "users" else (found[1], exact.items)
            error = max(error, float((vectors - expected[chosen]).abs().max()))
        total += (time.perf_counter() - started) / num_batches * -(-count // BATCH)
    return total, error


def represent(trainer: Trainer, users: np.ndarray, items: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Representations of one batch from its whole neighbourhood."""
    around = trainer.loader.neighborhood(Wanted(users, items), 1)
    graph, tables = around.subgraph, trainer.state.tables
    rows = {side: table.fetch(getattr(graph, side)).detach() for side, table in tables.items()}
    return trainer.state.model.represent(around, rows.get("users"), rows.get("items"))


def make_trainer(model: str, options: argparse.Namespace) -> Trainer:
    """On a synthetic store, ten interactions a user and a hundred an item; every neighbour, every co-user."""
    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    size = options.interactions
    shape = {"num_interactions": size, "num_users": size // 10, "num_items": size // 100, "textual_dimension": 384}
    values = {
        "prepare": {"format": "synthetic", "split": "random", "max_item_degree": 2000, "options": shape},
        "data": {"store": str(folder / f"store-{size}")},
        "model": {"name": model},
        "sampler": {"fanouts": "all", "co_users": "all"},
        "run": {"output": str(folder / "runs")},
    }
    path = folder / f"{model}.yaml"
    path.write_text(yaml.safe_dump(values))
    config = load(path, [])
    prepare_store(config)
    return Trainer.build(config, config.data.open(), Host(World(num_threads=options.threads)))


if __name__ == "__main__":
    main()
