"""What one worker does from its first line to its last, under whatever started it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import yaml

from dualgnn_dist.base.process import denormals_flushed, keep_freed_memory, peak_memory_bytes, versions
from dualgnn_dist.base.screen import say
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.evaluate import Split, candidates_of, evaluate
from dualgnn_dist.evaluation.inference import infer
from dualgnn_dist.evaluation.representations import export
from dualgnn_dist.training import trackers
from dualgnn_dist.training.checkpoint import best_checkpoint, latest_checkpoint
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.run_at_url import Mirror
from dualgnn_dist.training.run_folder import REPRESENTATIONS
from dualgnn_dist.training.state import make_state
from dualgnn_dist.training.telemetry import Listener
from dualgnn_dist.training.trainer import Outcome, Report, Trainer, Wrap, ddp, silent


def run_worker(
    config: RunConfig,
    world: World,
    resume: bool,
    report: Report = silent,
    wrap: Wrap = ddp,
    listeners: Sequence[Listener] = (),
) -> None:
    """Trains, and writes what the run found out into its folder. Every worker must call it.

    Args:
        resume: go on from the newest checkpoint of the run's folder; from the start if there is none.
        listeners: take what this worker measures of itself, beside the run's folder and its trackers.
    """
    started = time.perf_counter()
    with _tracking(config, world) as tracked:
        trainer, store = _trainer(config, world, resume, report, wrap, [*listeners, *tracked])
        with denormals_flushed():
            outcome = trainer.fit()
    export(config.run.folder / REPRESENTATIONS, outcome.representations, trainer.state.model.modalities, store, world)
    peaks = world.gather_rows(torch.tensor([peak_memory_bytes()], device=world.device))
    summary = {
        **_results(outcome),
        "seconds": {**outcome.progress.seconds, "total": time.perf_counter() - started},
        "peak_memory_bytes": [int(peak) for peak in peaks],
        "num_workers": world.size,
        "model": config.model.name,
        "seed": config.run.seed,
        "ndcg_convention": config.evaluation.ndcg_convention,
        "store": {"path": str(store.path), "fingerprint": store.manifest.fingerprint},
        "versions": versions(),
    }
    trainer.folder.write_metrics(summary)
    trainer.folder.close()
    Mirror(config.run).push_results(world)


def train_worker(
    config: RunConfig, world: World, report: Report = silent, wrap: Wrap = ddp, listeners: Sequence[Listener] = ()
) -> float:
    """Trains from the newest checkpoint if there is one; returns the best validation metric, looks at no test item."""
    with _tracking(config, world) as tracked, denormals_flushed():
        trainer, _ = _trainer(config, world, True, report, wrap, [*listeners, *tracked])
        trainer.train()
    trainer.folder.close()
    return trainer.progress.best


def _tracking(config: RunConfig, world: World) -> AbstractContextManager[Sequence[Listener]]:
    """Rank 0's trackers, for as long as it trains."""
    trackers.check(config.run.trackers)  # on every rank, lest the others wait for the one that refuses
    if not world.is_main:
        return nullcontext(())
    settings = yaml.safe_load(config.to_yaml())
    return trackers.tracking(config.run.trackers, config.run.folder, settings, say)


def _trainer(
    config: RunConfig,
    world: World,
    resume: bool,
    report: Report,
    wrap: Wrap,
    listeners: Sequence[Listener] = (),
) -> tuple[Trainer, Store]:
    torch.set_num_threads(world.num_threads)
    keep_freed_memory()
    store = config.data.open()
    trainer = Trainer(config, store, world, report, wrap, listeners)
    if resume:
        Mirror(config.run).pull()
        trainer.resume(latest_checkpoint(config.run.folder))
    return trainer, store


def _results(outcome: Outcome) -> Mapping[str, Any]:
    progress = outcome.progress
    return {
        "validation": progress.validation,
        "test": outcome.test,
        "test_by_candidates": outcome.test_by_candidates,
        "best_epoch": progress.best_epoch,
        "epochs": progress.epoch,
    }


def evaluate_on_worker(config: RunConfig, world: World, split: Split) -> dict[str, dict[str, float]]:
    """The split's metrics of the run's best checkpoint, by what was ranked. Every worker must call it."""
    torch.set_num_threads(world.num_threads)
    store = config.data.open()
    state = make_state(config, store, world)
    state.load(best_checkpoint(config.run.folder), world)
    representations = infer(state.model, state.tables, store, world)
    settings = config.evaluation
    return {
        candidates: evaluate(representations, store, split, settings.ks, settings.ndcg_convention, world, candidates)
        for candidates in candidates_of(store, bool(state.model.modalities))
    }
