"""What one worker does from its first line to its last, under whatever started it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
import yaml

from dualgnn_dist.base.liveness import heartbeat
from dualgnn_dist.base.process import denormals_flushed, keep_freed_memory, peak_memory_bytes, versions
from dualgnn_dist.base.screen import say
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.representations import export
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.listeners import trackers
from dualgnn_dist.training.listeners.telemetry import Listener
from dualgnn_dist.training.run import Run
from dualgnn_dist.training.trainer import Outcome, Trainer


def run_worker(config: RunConfig, host: Host, argument: None = None) -> None:
    """Trains, and writes what the run found out into its folder. Every worker must call it.

    Goes on from the newest checkpoint in the run's folder. A new run has none, unless this is not its first start:
    after a failure workers are started again, and who starts them may not know of the last checkpoint, or of any.
    """
    started = time.perf_counter()
    with _trainer(config, host) as (trainer, store), denormals_flushed():
        outcome = trainer.fit()
    heartbeat.phase("writing the representations")
    modalities, identity = trainer.state.model.modalities, trainer.state.written_by
    store.wait_until_checked(host.world)  # results are of a store that is whole, or of none
    files = export(trainer.run.representations, outcome.representations, modalities, store, host.world, identity)
    peaks = host.world.gather_rows(torch.tensor([peak_memory_bytes()], device=host.world.device))
    summary = {
        **_results(outcome),
        "metric": config.train.metric,
        "seconds": {**outcome.progress.seconds, "total": time.perf_counter() - started},
        "peak_memory_bytes": [int(peak) for peak in peaks],
        "num_workers": host.world.size,
        "run": identity["run"],
        "representations": files,
        "model": config.model.name,
        "seed": config.run.seed,
        "ndcg_convention": config.evaluation.ndcg_convention,
        "store": {"path": str(store.path), "fingerprint": store.manifest.fingerprint},
        "versions": versions(),
    }
    trainer.recorder.close()
    trainer.run.finish(summary, host.world)


def train_worker(config: RunConfig, host: Host, argument: None = None) -> float:
    """Trains from the newest checkpoint if there is one; returns the best validation metric, looks at no test item."""
    with _trainer(config, host) as (trainer, store), denormals_flushed():
        trainer.train()
    store.wait_until_checked(host.world)
    trainer.recorder.close()
    return trainer.progress.best


@contextmanager
def _trainer(config: RunConfig, host: Host) -> Iterator[tuple[Trainer, Store]]:
    """The trainer where the run stands, for as long as its trackers listen; nobody else trains it meanwhile."""
    heartbeat.phase("opening the store and making the first batches")
    torch.set_num_threads(host.world.num_threads)
    keep_freed_memory()
    with Run(config.run).only_trainer(host.world), _tracking(config, host) as tracked:
        store = config.data.open()
        trainer = Trainer.build(config, store, replace(host, listeners=[*host.listeners, *tracked]))
        trainer.resume()
        yield trainer, store


@contextmanager
def _tracking(config: RunConfig, host: Host) -> Iterator[Sequence[Listener]]:
    """Rank 0's trackers."""
    trackers.check(config.run.trackers)  # on every rank, lest the others wait for the one that refuses
    if not host.world.is_main:
        yield ()
        return
    settings = yaml.safe_load(config.to_yaml())
    with trackers.tracking(config.run.trackers, config.run.folder, settings, say) as tracked:
        yield tracked


def _results(outcome: Outcome) -> dict[str, Any]:
    progress = outcome.progress
    return {
        "validation": progress.validation,
        "test": outcome.test,
        "test_by_candidates": outcome.test_by_candidates,
        "beyond": outcome.tested.beyond,
        "baselines": outcome.tested.baselines,
        "best_epoch": progress.best_epoch,
        "epochs": progress.epoch,
    }
