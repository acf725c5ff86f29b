"""What a training step costs, beside the same model written with PyG's layers and beside whole-graph propagation.

DualGNN, three modalities (128, 128, 384), width 64, batch 1,024, 4 co-users, fanouts 10,5, on synthetic data; the PyG
model runs on the very batches that ours does, in float32 and in bfloat16, whole-graph propagation on the same
interactions. Ours runs as the defaults have it, in bfloat16, and in bfloat16 with shared draws (`--variants`). A plain
prototype of ours needed 2.0 s a step (511 interactions a second) on such a machine with two threads.

    python benchmarks/step.py --interactions 10000000 --users 1000000 --items 100000 --threads 2
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import common
import torch
import yaml
from pyg_dualgnn import PyGDualGNN, update
from whole_graph import whole_graph, whole_graph_batch

from dualgnn_dist.base.batch import Batch
from dualgnn_dist.base.process import keep_freed_memory
from dualgnn_dist.base.world import World
from dualgnn_dist.launch.run import prepare_store
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.load import load
from dualgnn_dist.training.trainer import Trainer

PROTOTYPE = 511.0  # interactions a second, two threads, as seen elsewhere
DIMENSIONS = {"visual": 128, "acoustic": 128, "textual": 384}
VARIANTS = {
    "ours": [],
    "ours, bfloat16": ["train.precision=bfloat16"],
    "ours, bfloat16, shared draws": ["train.precision=bfloat16", "sampler.draws=shared"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interactions", type=int, default=10_000_000)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--whole-graph-steps", type=int, default=2, help="0 leaves whole-graph propagation out")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--no-pyg", action="store_true", help="leaves PyG's layers out, whose tables are theirs alone")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--max-item-degree", type=int, default=2000)
    parser.add_argument("--output", default="runs/step")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    options = parser.parse_intermixed_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()  # for all of them
    rows, stages = [], []
    for name in options.variants:
        trainer = make_trainer(options, VARIANTS[name])
        batches = [trainer.loader.batch(0, step) for step in range(options.steps)]
        rows.append(row(name, time_all(trainer.train_step, batches), batches[0]))
        stages.append({"contender": name, **time_stages(trainer, batches[:3])})
        if not options.no_pyg and "shared" not in name:
            suffix = ", bfloat16" if "bfloat16" in name else ""
            rows.append(row(f"PyG layers{suffix}, same batches", time_all(pyg_step(trainer), batches), batches[0]))
        if options.whole_graph_steps and name == "ours":
            around = whole_graph(trainer.evaluator.store, trainer.state.model)
            wholes = [whole_graph_batch(trainer.loader, around, 0, step) for step in range(options.whole_graph_steps)]
            rows.append(row("whole graph a batch", time_all(trainer.train_step, wholes), wholes[0]))
            del around, wholes
        del trainer, batches
    for made in rows:
        for name in options.variants:
            ours = next(other for other in rows if other["contender"] == name)
            made[f"over {name}"] = round(made["step s"] / ours["step s"], 2)
    common.show(f"{options.interactions:,} interactions, {options.threads} threads, seconds a step", rows)
    common.show("where ours goes, ms", [_in_milliseconds(stage) for stage in stages])
    common.bars(f"step_{options.interactions}", {row["contender"]: row["step s"] for row in rows}, "seconds a step")
    common.file(f"step_{options.interactions}", {"rows": rows, "stages": stages, "options": vars(options)})


def _in_milliseconds(stage: dict[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, str) else round(value * 1000) for name, value in stage.items()}


def make_trainer(options: argparse.Namespace, variant: Sequence[str] = ()) -> Trainer:
    """On a synthetic store of the asked size, made if it is not there."""
    folder = Path(options.output)
    shape = {"num_interactions": options.interactions, "num_users": options.users, "num_items": options.items}
    dimensions = {f"{name}_dimension": width for name, width in DIMENSIONS.items()}
    values = {
        "prepare": {
            "format": "synthetic",
            "split": "random",
            "max_item_degree": options.max_item_degree,
            "options": shape | dimensions,
        },
        "data": {"store": str(folder / f"store-{options.interactions}-{options.users}")},
        "model": {"name": "dualgnn", "width": options.width},
        "sampler": {"batch_size": 1024, "fanouts": [10, 5], "co_users": 4},
        "run": {"output": str(folder / "runs")},
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "step.yaml"
    path.write_text(yaml.safe_dump(values))
    config = load(path, [*variant, *options.overrides])
    prepare_store(config)
    return Trainer.build(config, config.data.open(), Host(World(num_threads=options.threads)))


def pyg_step(trainer: Trainer) -> Callable[[Batch], Any]:
    """A step of the model in PyG's layers, from the values that ours has: it computes the same loss, or raises."""
    config, state = trainer.config, trainer.state
    regularization, precision = config.model.settings.regularization, config.train.precision
    model = PyGDualGNN(trainer.evaluator.store.manifest.num_users, DIMENSIONS, config.model.settings.width)
    batch = trainer.loader.batch(2, 0)
    table = state.tables["users"]
    rows = table.fetch(batch.around.subgraph.users)
    model.take_over(state.model, table.local_rows()[1], table.columns)
    with autocast(precision):
        expected, found = state.model(batch, rows, None).mean(), model(batch, regularization)
    tolerance = 1e-4 if precision == "float32" else 1e-2
    assert torch.isclose(found, expected, rtol=tolerance), f"PyG's model computes {found}, ours {expected}"
    assert config.optimizer.learning_rate is not None
    optimizers = model.optimizers(config.optimizer.learning_rate)

    def step(batch: Batch) -> None:
        with autocast(precision):
            loss = model(batch, regularization)
        update(optimizers, loss)

    return step


def autocast(precision: str) -> torch.autocast:
    """As the trainer has it."""
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")


def time_all(step: Callable[[Batch], Any], batches: Sequence[Batch]) -> list[float]:
    """Seconds of each, after one to warm up."""
    step(batches[0])
    found = []
    for batch in batches:
        started = time.perf_counter()
        step(batch)
        found.append(time.perf_counter() - started)
    return found


def time_stages(trainer: Trainer, batches: Sequence[Batch]) -> dict[str, float]:
    """Mean seconds of the parts of a step, and of making a batch in the loader's thread."""
    state, seconds = trainer.state, dict.fromkeys(("sample", "fetch", "forward", "backward", "dense", "rows"), 0.0)

    def timed(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        started = time.perf_counter()
        result = function(*arguments)
        seconds[name] += (time.perf_counter() - started) / len(batches)
        return result

    for step, batch in enumerate(batches):
        timed("sample", trainer.loader.batch, 1, step)
        graph = batch.around.subgraph
        rows = {side: timed("fetch", table.fetch, getattr(graph, side)) for side, table in state.tables.items()}
        with autocast(trainer.config.train.precision):
            losses = timed("forward", state.model, batch, rows.get("users"), rows.get("items"))
        assert state.dense_optimizer is not None
        state.dense_optimizer.zero_grad()
        timed("backward", losses.mean().backward)
        timed("dense", state.dense_optimizer.step)
        for side, fetched in rows.items():
            timed("rows", state.tables[side].apply_gradients, fetched)
    return seconds


def row(name: str, found: Sequence[float], batch: Batch) -> dict[str, Any]:
    """A line of the table."""
    median = statistics.median(found)
    graph = batch.around.subgraph
    return {
        "contender": name,
        "step s": round(median, 3),
        "fastest s": round(min(found), 3),
        "interactions/s": round(batch.global_size / median),
        "over the prototype": round(batch.global_size / median / PROTOTYPE, 2),
        "users of a batch": len(graph.users),
        "items of a batch": len(graph.items),
    }


if __name__ == "__main__":
    main()
