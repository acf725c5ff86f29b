"""A sweep under Ray Tune: Optuna chooses the points, a scheduler ends the hopeless ones, each trial is a run.

A trial's function launches Ray Train from within (Train V2), or trains in the trial's own process where the run asks
for no workers. What it reports is the best validation metric so far; the test items stay unseen.
"""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.tune
from ray.tune.integration.ray_train import TuneReportCallback
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler
from ray.tune.search import ConcurrencyLimiter, Searcher
from ray.util.state import list_actors

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import say
from dualgnn_dist.launch import in_process, ray_train
from dualgnn_dist.launch.ray_tune.failures import reason
from dualgnn_dist.launch.ray_tune.records import TrialRecords
from dualgnn_dist.launch.ray_tune.stop import StopRequest
from dualgnn_dist.launch.ray_tune.storage import without_secret
from dualgnn_dist.launch.ray_tune.study import VALUE, Search
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.run import Run
from dualgnn_dist.training.stop import STOP
from dualgnn_dist.training.sweep.folder import RAY, SweepFolder, Trial, Unaccounted
from dualgnn_dist.training.sweep.space import Sweep
from dualgnn_dist.training.worker import train_worker


def run_sweep(sweep: Sweep, folder: SweepFolder, ended: Sequence[Trial], search: Search, stop: StopRequest) -> None:
    """Runs the trials that are left; each is recorded in `folder` when it ends, in whatever way.

    Args:
        search: of `open_study`.
        stop: once it is asked, trials leave checkpoints and end, and none begins.

    Raises:
        UserError: a cluster too small for a trial, or without the dashboard that frees what stopped trials held; a
            record that cannot be written.
        Unaccounted: Ray ended before all trials had.
    """
    config = sweep.base
    ray_train.check_resources(config)
    if config.resources.num_workers != 0:
        _check_dashboard()
    _keep_tune_quiet()
    concurrency = sweep.config.concurrency or _concurrency(config)
    say(f"{sweep.config.trials - len(ended)} trials to go, {concurrency} at a time")
    records = TrialRecords(sweep, folder, ended, stop.is_asked)
    tuner = _tuner(sweep, folder, sweep.config.trials - len(ended), ConcurrencyLimiter(search, concurrency), records)
    try:
        with stop.patiently():
            tuner.fit()
    except Exception as error:  # as many kinds as Ray has parts
        raise _ended_early(error, folder, sweep) from error
    if not stop.is_asked():
        records.settle()


def _tuner(sweep: Sweep, folder: SweepFolder, num_trials: int, search: Searcher, records: TrialRecords) -> Any:
    storage = folder.path / RAY
    return ray.tune.Tuner(
        ray.tune.with_resources(ray.tune.with_parameters(_trial, sweep=sweep), _resources(sweep.base)),
        tune_config=ray.tune.TuneConfig(
            search_alg=search,
            scheduler=_scheduler(sweep),
            num_samples=num_trials,
            metric=VALUE,
            mode="max",
            # A trial that was stopped may take its time to let go of its workers and files, and Ray forgets the trial
            # that it meant to begin in a process that is not free within seconds.
            reuse_actors=False,
        ),
        run_config=ray.tune.RunConfig(
            name=f"start-{len(list(storage.glob('start-*'))):03d}",
            storage_path=str(storage),
            callbacks=[records],
            verbose=0,
        ),
    )


def _ended_early(error: Exception, folder: SweepFolder, sweep: Sweep) -> Exception:
    """What Ray's error comes to: a `UserError` of our own among its causes, or that trials are missing."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UserError):
            return UserError(str(cause))
        cause = cause.__cause__ or cause.__context__
    story = folder.path / RAY / "failure.txt"
    story.parent.mkdir(exist_ok=True)
    text = without_secret("".join(traceback.format_exception(error)))
    story.write_text(text, errors="replace")
    return Unaccounted(
        f"Ray Tune ended with {len(folder.trials())} of {sweep.config.trials} trials recorded in {folder.path}: "
        f"{reason(text)}; all of it: {story}; go on with --resume"
    )


def _scheduler(sweep: Sweep) -> TrialScheduler:
    settings = sweep.config
    if settings.stopper == "asha":
        # A trial that comes to its end says so in a report of its own, one epoch after the last.
        return AsyncHyperBandScheduler(
            time_attr="epoch",
            max_t=sweep.base.train.epochs + 2,
            grace_period=settings.grace_epochs,
            reduction_factor=settings.reduction,
        )
    if settings.stopper == "median":
        return MedianStoppingRule(time_attr="epoch", grace_period=settings.grace_epochs, min_samples_required=3)
    return FIFOScheduler()


def _trial(given: Mapping[str, Any], sweep: Sweep) -> None:
    """A trial, in a process of its own: its runs one after another. The stopper sees the first."""
    values = []
    for seed in range(sweep.config.seeds):
        config = sweep.run(given["params"], seed)
        train = _train_here if config.resources.num_workers == 0 else _train_on_workers
        values.append(train(config, tells=seed == 0))
    epochs = sweep.base.train.epochs + 1
    ray.tune.report({VALUE: sum(values) / len(values), "epoch": epochs, "is_complete": True, "seed_values": values})


def _train_here(config: RunConfig, tells: bool) -> float:
    def report(metrics: Mapping[str, Any], folder: Path) -> None:
        if tells and config.train.metric in metrics:
            ray.tune.report(_so_far(metrics))

    with _begun(config):
        return train_worker(config, replace(in_process.host(config), report=report))


def _train_on_workers(config: RunConfig, tells: bool) -> float:
    with _begun(config):
        return ray_train.fit(config, _train_worker, None, [TuneReportCallback()] if tells else [])


def _train_worker(config: RunConfig, host: Host, argument: None) -> float:
    """On every worker; returns the best validation metric."""

    def report(metrics: Mapping[str, Any], folder: Path) -> None:
        if config.train.metric in metrics:  # a checkpoint within an epoch has none
            host.report(_so_far(metrics), folder)  # a barrier: every rank has the same metrics; Tune gets rank 0's

    return train_worker(config, replace(host, report=report))


def _so_far(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {VALUE: metrics["best"], "epoch": metrics["epoch"], "is_complete": False, "seed_values": [metrics["best"]]}


@contextmanager
def _begun(config: RunConfig) -> Iterator[None]:
    """A new run, or that of the same point when it was killed, which can be asked to stop."""
    run = Run(config.run)
    run.begin(config.to_yaml(), resume=run.is_started())
    request = run.folder / STOP
    request.write_text("")  # what is there from the start is seen to change on a network file system
    try:
        yield
    finally:
        request.unlink(missing_ok=True)


def _resources(config: RunConfig) -> Any:
    """Of a trial's own process; workers take theirs beside it."""
    if config.resources.num_workers != 0:
        return {"memory": 2**20}  # a bundle must hold something, and a share of a CPU would leave a worker without one
    return {"CPU": config.resources.cpus_per_worker, "GPU": int(config.resources.use_gpu)}


def _concurrency(config: RunConfig) -> int:
    """Trials that fit the cluster as it is."""
    resources = config.resources
    workers, available = max(resources.most, 1), ray.cluster_resources()
    fitting = available.get("CPU", 1) // (workers * resources.cpus_per_worker)
    if resources.use_gpu:
        fitting = min(fitting, available.get("GPU", 0) // workers)
    return max(1, int(fitting))


def _keep_tune_quiet() -> None:
    """Our own lines say how trials end, and every run keeps its own history."""
    quiet = {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "TUNE_PRINT_ALL_TRIAL_ERRORS": "0", "RAY_AIR_NEW_OUTPUT": "0"}
    # Signals are `StopRequest`'s: Ctrl-C would end Tune as if all trials were done.
    for name, value in {**quiet, "TUNE_DISABLE_SIGINT_HANDLER": "1"}.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)


def _check_dashboard() -> None:
    """Without it a stopped trial never gives its workers back, and the next one waits for ever."""
    try:
        list_actors(ray.get_runtime_context().gcs_address, limit=1, timeout=20)
    except Exception as error:  # as many kinds as there are ways not to answer
        raise UserError(
            "the dashboard of this Ray cluster does not answer, and without it a trial that is stopped never frees its "
            "workers; start the head with `ray start --head --include-dashboard=true`, or train each trial in its own "
            f"process with resources.num_workers=0 ({type(error).__name__})"
        ) from error
