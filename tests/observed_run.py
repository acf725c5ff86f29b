"""What can be observed of a run's settings: in a whole run, in what Ray is handed, and in where tables lie."""

from __future__ import annotations

import dataclasses
import importlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from dualgnn_dist.base.world import World
from dualgnn_dist.evaluation import representations
from dualgnn_dist.launch import in_process
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.listeners import trackers
from dualgnn_dist.training.run_folder import HISTORY, METRICS, REPRESENTATIONS
from dualgnn_dist.training.state import make_state
from dualgnn_dist.training.trainer import Trainer
from dualgnn_dist.training.worker import run_worker

Seen = dict[str, Any]


def one_run(config: RunConfig, root: Path) -> Seen:
    """What a whole run in this process shows of its settings."""
    reports, pools, ahead, names = [], {}, [], []
    new_pool, submit, step = ThreadPoolExecutor.__init__, ThreadPoolExecutor.submit, Trainer.train_step

    def make_pool(pool: Any, max_workers: Any = None, thread_name_prefix: str = "", **rest: Any) -> None:
        if thread_name_prefix == "loader":
            pools[id(pool)] = {"threads": max_workers, "submitted": 0}
        new_pool(pool, max_workers, thread_name_prefix, **rest)

    def count(pool: Any, *arguments: Any, **keywords: Any) -> Any:
        if id(pool) in pools:
            pools[id(pool)]["submitted"] += 1
        return submit(pool, *arguments, **keywords)

    def first_step(trainer: Trainer, batch: Any) -> torch.Tensor:
        if not ahead:
            ahead.append(next(iter(pools.values()))["submitted"])
        return step(trainer, batch)

    def track(wanted: Any, *_: Any) -> Any:
        names.extend(wanted)
        return nullcontext(())

    host = dataclasses.replace(in_process.host(config), report=lambda metrics, folder: reports.append(dict(metrics)))
    with (
        mock.patch.object(ThreadPoolExecutor, "__init__", make_pool),
        mock.patch.object(ThreadPoolExecutor, "submit", count),
        mock.patch.object(Trainer, "train_step", first_step),
        mock.patch.object(trackers, "tracking", track),
        mock.patch.object(trackers, "check", lambda wanted: None),
        mock.patch.object(torch, "set_num_threads") as set_num_threads,
    ):
        run_worker(config, host)
    folder = config.run.folder
    lines = [json.loads(line) for line in (folder / HISTORY).read_text().splitlines()]
    metrics = json.loads((folder / METRICS).read_text())
    vectors = [representations.read(path).vectors.tolist() for path in sorted((folder / REPRESENTATIONS).iterdir())]
    seen = {
        "losses": [line["training"]["loss"] for line in lines if "training" in line],
        "vectors": vectors,
        "measured": [
            *(line["validation"] for line in lines if "validation" in line),
            metrics["test_by_candidates"],
            reports[-1]["best"],
        ],
        "lengths": [(line["epoch"], "training" in line) for line in lines],
        "reports": len(reports),
        "threads": next(iter(pools.values()))["threads"],
        "ahead": ahead,
        "kernel_threads": (host.world.num_threads, set_num_threads.call_args),
        "trackers": names,
        "store": metrics["store"]["path"],
        "place": sorted(str(path.relative_to(root)) for path in root.rglob(METRICS)),
    }
    shutil.rmtree(folder)
    return seen


NUMBERS = ("losses", "vectors", "measured")


def asked_of_ray(config: RunConfig, root: Path) -> Seen:
    """What is handed over to Ray Train."""
    ray_train = importlib.import_module("dualgnn_dist.launch.ray_train")
    with mock.patch.object(ray_train, "_Trainer") as trainer:
        ray_train.fit(config, run_worker, None)
    given = trainer.call_args.kwargs
    scaling, torch_config = given["scaling_config"], given["torch_config"]
    return {
        "ray": (
            scaling.num_workers,
            scaling.use_gpu,
            scaling.resources_per_worker,
            torch_config.backend,
            given["run_config"].failure_config.max_failures,
            torch_config.timeout_s,
        )
    }


def device_of_tables(config: RunConfig, root: Path) -> Seen:
    """Where rows lie of a worker whose device is not the CPU."""
    state = make_state(config, config.data.open(), World(device=torch.device("meta")))
    return {"device": {table.state.values.device.type for table in state.tables.values()}}


def opened(config: RunConfig, root: Path) -> Seen:
    """Whether the store is opened: refusals are told by who asks."""
    return {"store": config.data.open().path}
