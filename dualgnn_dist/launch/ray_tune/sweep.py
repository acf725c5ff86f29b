"""A sweep from its config to the best run and its test metrics."""

from __future__ import annotations

import dataclasses
import json
import shlex
import signal
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dualgnn_dist.base.errors import Stopped, UserError
from dualgnn_dist.base.screen import say
from dualgnn_dist.base.storage.locks import only_writer
from dualgnn_dist.launch.ray_train import connected
from dualgnn_dist.launch.ray_tune.figures import draw
from dualgnn_dist.launch.ray_tune.stop import EndNow, StopRequest
from dualgnn_dist.launch.ray_tune.storage import forget_study, study_url
from dualgnn_dist.launch.ray_tune.study import Search, ended_with, open_study
from dualgnn_dist.launch.ray_tune.trials import run_sweep
from dualgnn_dist.launch.run import prepare_store, start_run
from dualgnn_dist.training.run_folder import METRICS
from dualgnn_dist.training.state import make_model
from dualgnn_dist.training.sweep.folder import BEST, RAY, WINNER, SweepFolder, Trial, Unaccounted, best_of
from dualgnn_dist.training.sweep.space import Sweep


def tune(sweep: Sweep, resume: bool = False) -> Path:
    """Runs the trials, then measures the test items once, with the best trial; returns the sweep's folder.

    Raises:
        UserError: the sweep exists already or another process is at it, no trial came to anything, or what its parts
            refuse.
        Unaccounted: fewer trials came to a record than were asked for.
        Stopped: SIGTERM or Ctrl-C asked for it; the sweep can be resumed.
    """
    config, folder = sweep.base.with_absolute_paths(), SweepFolder(sweep.folder)
    with only_writer(folder.path, "the sweep", say):
        store = prepare_store(config)
        make_model(config, store)  # what does not fit the data is refused here
        ended = folder.start(sweep, resume)
        say(f"sweep folder: {folder.path}\nstudy: optuna-dashboard {shlex.quote(study_url(sweep, folder))}")
        try:
            return _stoppable(sweep, folder, ended, resume)
        except UserError:
            if not resume and not folder.trials():  # so that its name is free
                forget_study(sweep, folder)
                folder.remove()
            raise


def _stoppable(sweep: Sweep, folder: SweepFolder, ended: Sequence[Trial], resume: bool) -> Path:
    """The sweep where both signals end it, with the exit code of the signal that did."""
    with StopRequest() as stop:
        try:
            search = open_study(sweep, folder, ended, resume, stop.is_asked)
            with ended_with(search.study), connected(shows_workers=False):
                stop.listen()
                return _run(sweep, folder, ended, search, stop)
        except (EndNow, Stopped, SystemExit) as end:  # `ray.init` exits on its own account
            if isinstance(end, SystemExit) and end.code != signal.SIGTERM:
                raise
            stopped = Stopped(
                f"{len(folder.trials())} of {sweep.config.trials} trials are recorded in {folder.path}; go on with "
                "--resume"
            )
            stopped.exit_code = end.exit_code if isinstance(end, Stopped) else 128 + (stop.number or signal.SIGTERM)
            raise stopped from None


def _run(sweep: Sweep, folder: SweepFolder, ended: Sequence[Trial], search: Search, stop: StopRequest) -> Path:
    if len(ended) < sweep.config.trials:
        run_sweep(sweep, folder, ended, search, stop)
    if stop.is_asked():
        raise EndNow
    trials = folder.trials()
    if len(trials) < sweep.config.trials:
        raise Unaccounted(
            f"{len(trials)} of {sweep.config.trials} trials are recorded in {folder.path}, and nothing says what "
            f"became of the others; what Ray keeps is in {folder.path / RAY}; go on with --resume"
        )
    best = best_of(trials)
    if best is None:
        reasons = sorted({trial.error or "no validation was reached" for trial in trials})
        raise UserError(f"none of the {len(trials)} trials came to a value: {'; '.join(reasons)}")
    folder.write(BEST, _best_run(sweep, best))
    draw(sweep, folder, trials)
    folder.write(WINNER, json.dumps(_measure(sweep, folder, best), indent=1) + "\n")
    for trial in trials:  # a stopped trial's workers may have written one more
        if trial.params != best.params:
            folder.drop_checkpoints(trial.params)
    return folder.path


def _best_run(sweep: Sweep, best: Trial) -> str:
    """The best trial as a complete run of its own, which `train` takes."""
    found, base = sweep.run(best.params), sweep.base
    run = dataclasses.replace(found.run, name=f"{sweep.folder.name}_best", output=base.run.output)
    return dataclasses.replace(found, run=run, data=base.data).to_yaml()


def _measure(sweep: Sweep, folder: SweepFolder, best: Trial) -> dict[str, Any]:
    """Goes on from the best trial's last checkpoints, which leaves nothing but the test items to be ranked."""
    say(f"trial {best.number} is the best: ranking the test items")
    runs = [start_run(sweep.run(best.params, seed), resume=True) for seed in range(sweep.config.seeds)]
    metrics = [json.loads((run / METRICS).read_text()) for run in runs]
    return {
        "number": best.number,
        "params": best.params,
        "validation": _mean([found["validation"] for found in metrics]),
        "test": _mean([found["test"] for found in metrics]),
        "run_folder": str(runs[0].relative_to(folder.path)),
        "test_by_seed": [found["test"] for found in metrics],
    }


def _mean(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: statistics.mean(found[name] for found in values) for name in values[0]}
