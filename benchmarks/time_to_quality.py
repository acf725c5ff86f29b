"""How long until the same validation Recall@20: sampled batches beside whole-graph propagation, in the same program.

All arms have the same model, settings, batches of interactions and evaluation; only what a batch propagates differs.
The target is what the worst arm reaches at its best.

    python benchmarks/time_to_quality.py --config configs/gowalla.yaml --epochs 60 --whole-graph-epochs 30 \
        --arms "shared_20_10:sampler.draws=shared;sampler.fanouts=[20,10]" -- optimizer.learning_rate=0.005
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import common
import torch
from whole_graph import whole_graph, whole_graph_batch

from dualgnn_dist.base.batch import Batch
from dualgnn_dist.base.process import keep_freed_memory
from dualgnn_dist.base.world import World
from dualgnn_dist.launch.run import prepare_store
from dualgnn_dist.sampling.loader import Loader
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.load import load
from dualgnn_dist.training.run import Run
from dualgnn_dist.training.trainer import Trainer

WHOLE_GRAPH = "whole graph"


class WholeGraphLoader(Loader):
    """The same triples; every batch is surrounded by everything."""

    def __init__(self, trainer: Trainer) -> None:
        config = trainer.config
        super().__init__(trainer.evaluator.store, trainer.state.model, config.sampler, config.run.seed, World())
        self._around = whole_graph(trainer.evaluator.store, trainer.state.model)

    def batch(self, epoch: int, step: int) -> Batch:
        """See `whole_graph_batch`."""
        return whole_graph_batch(self, self._around, epoch, step)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--epochs", type=int, default=10, help="of every sampled arm")
    parser.add_argument("--whole-graph-epochs", type=int, help="where they differ: the arms are compared by seconds")
    parser.add_argument(
        "--arms", nargs="+", default=["sampled"], metavar="NAME[:section.key=value;..]", help="beside `whole graph`"
    )
    parser.add_argument("--threads", type=int, default=2, help="of an arm")
    parser.add_argument("--jobs", type=int, default=1, help="arms at a time")
    parser.add_argument("--output", default="runs/time_to_quality")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    options = parser.parse_intermixed_args()
    prepare_store(load(options.config, options.overrides))
    arms = [*options.arms, WHOLE_GRAPH]
    with ProcessPoolExecutor(options.jobs, get_context("spawn"), max_tasks_per_child=1) as processes:
        found = processes.map(train, arms, [options] * len(arms))
        curves = {arm.partition(":")[0]: curve for arm, curve in zip(arms, found, strict=True)}
    target = min(max(point["recall@20"] for point in curve) for curve in curves.values())
    rows = []
    for arm, curve in curves.items():
        reached = next(point for point in curve if point["recall@20"] >= target)
        best = max(point["recall@20"] for point in curve)
        rows.append(
            {"arm": arm, "seconds to target": round(reached["seconds"], 1), "epochs to target": reached["epoch"]}
        )
        rows[-1] |= {
            "s an epoch": round(curve[-1]["seconds"] / curve[-1]["epoch"], 2),
            "best recall@20": round(best, 4),
        }
    name = f"time_to_quality_{Path(options.config).stem}"
    common.show(f"{name}: validation recall@20 {target:.4f}, {options.threads} threads", rows)
    draw(curves, target, name)
    common.file(name, {"rows": rows, "target": target, "curves": curves, "options": vars(options)})


def train(arm: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Validation after every epoch, with the seconds spent on training until then."""
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    arm, _, changes = arm.partition(":")
    epochs = options.whole_graph_epochs or options.epochs if arm == WHOLE_GRAPH else options.epochs
    name = f"{Path(options.config).stem}_{arm.replace(' ', '_')}"
    own = [f"train.epochs={epochs}", "train.eval_every=1", "train.patience=null", "resources.num_workers=0"]
    own += [f"run.output={options.output}", f"run.name={name}", *filter(None, changes.split(";"))]
    config = load(options.config, [*options.overrides, *own])
    trainer = Trainer.build(config, config.data.open(), Host(World(num_threads=options.threads)))
    trainer.train_step(trainer.loader.batch(0, 0))  # compiles the kernels
    Run(config.run).begin(config.to_yaml(), resume=False)
    trainer = Trainer.build(config, config.data.open(), Host(World(num_threads=options.threads)))
    if arm == WHOLE_GRAPH:
        trainer.loader = WholeGraphLoader(trainer)
    trainer.fit()
    curve, seconds = [], 0.0
    for line in map(json.loads, (config.run.folder / "history.jsonl").read_text().splitlines()):
        if "training" in line:
            seconds += line["training"]["seconds"]
        else:
            curve.append({"epoch": line["epoch"], "seconds": seconds, "recall@20": line["validation"]["recall@20"]})
    return curve


def draw(curves: dict[str, list[dict[str, Any]]], target: float, name: str) -> None:
    """Recall against seconds."""
    figure, axes = common.pyplot.subplots(figsize=(6, 3.6), constrained_layout=True)
    for arm, curve in curves.items():
        axes.plot([point["seconds"] for point in curve], [point["recall@20"] for point in curve], "o-", label=arm)
    axes.axhline(target, color="grey", linewidth=0.8)
    axes.set(xscale="log", xlabel="seconds of training", ylabel="validation Recall@20")
    axes.legend()
    figure.savefig(common.RESULTS / f"{name}.png", dpi=110)


if __name__ == "__main__":
    main()
