"""What one worker does from its first line to its last, under whatever started it."""

from __future__ import annotations

import platform
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml

from dualgnn_dist import __version__
from dualgnn_dist.base.process import keep_freed_memory
from dualgnn_dist.base.screen import say
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation import representations
from dualgnn_dist.training import trackers
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.run_at_url import Mirror
from dualgnn_dist.training.run_checkpoints import latest_checkpoint
from dualgnn_dist.training.run_folder import REPRESENTATIONS
from dualgnn_dist.training.telemetry import Listener
from dualgnn_dist.training.trainer import Outcome, Report, Trainer, Wrap, ddp, silent

_SMALLEST_NORMAL = torch.finfo(torch.float32).tiny
_VERSIONS_OF = ("torch", "ray", "pyarrow", "numpy", "numba")


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
        with _denormals_flushed():
            outcome = trainer.fit()
    _export(config.run.folder, outcome, trainer.state.model.modalities, store, world)
    peaks = world.gather_rows(torch.tensor([_peak_memory_bytes()], device=world.device))
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
    with _tracking(config, world) as tracked, _denormals_flushed():
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


@contextmanager
def _denormals_flushed() -> Iterator[None]:
    """A model that collapses to zero would otherwise take twenty times as long.

    It is a setting of the processor, not of torch: left on, it would change what the caller of a run in this
    process computes afterwards.
    """
    already = float(torch.tensor(_SMALLEST_NORMAL) / 2) == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(already)


def versions() -> dict[str, str]:
    """Of this program and of what decides its numbers."""
    found = {"dualgnn_dist": __version__, "python": platform.python_version(), "platform": platform.platform()}
    return {**found, **{name: version(name) for name in _VERSIONS_OF}}


def _results(outcome: Outcome) -> Mapping[str, Any]:
    progress = outcome.progress
    return {
        "validation": progress.validation,
        "test": outcome.test,
        "test_by_candidates": outcome.test_by_candidates,
        "best_epoch": progress.best_epoch,
        "epochs": progress.epoch,
    }


def _export(run: Path, outcome: Outcome, modalities: tuple[str, ...], store: Store, world: World) -> None:
    """Every worker writes its users, rank 0 the items."""
    found = outcome.representations
    folder = run / REPRESENTATIONS
    rows = found.user_rows.numpy()
    name = f"users-{world.rank:05d}-of-{world.size:05d}.arrow"
    columns = {}
    if found.modality_weights is not None:
        weights = found.modality_weights.cpu().numpy()
        columns = {f"weight_{modality}": weights[:, m] for m, modality in enumerate(modalities)}
    representations.write(folder / name, rows, store.ids("users", rows), found.users.cpu().numpy(), columns)
    if world.is_main:
        rows = torch.arange(len(found.items)).numpy()
        representations.write(folder / "items.arrow", rows, store.ids("items", rows), found.items.cpu().numpy())


def _peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
