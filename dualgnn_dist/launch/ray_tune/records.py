"""What is kept and said of every trial that ends."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray.tune

from dualgnn_dist.base.screen import duration, say
from dualgnn_dist.launch.ray_tune.study import VALUE
from dualgnn_dist.training.sweep.folder import SweepFolder, Trial, best_of
from dualgnn_dist.training.sweep.space import Sweep


class TrialRecords(ray.tune.Callback):
    """In the driver: a record, a line on the screen and the next best for every trial that ends."""

    def __init__(self, sweep: Sweep, folder: SweepFolder, ended: Sequence[Trial]) -> None:
        self._sweep, self._folder, self._ended = sweep, folder, list(ended)
        self._started, self._first = time.perf_counter(), len(ended)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """It came to its end, or was stopped."""
        is_complete = (trial.last_result or {}).get("is_complete", False)
        self._record(trial, "complete" if is_complete else "stopped", None)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """It raised; the sweep goes on."""
        self._record(trial, "failed", _last_line(Path(trial.error_file).read_text() if trial.error_file else ""))

    def _record(self, trial: Any, state: Any, error: str | None) -> None:
        result, metric = trial.last_result or {}, self._sweep.base.train.metric
        ended = Trial(
            number=trial.config["number"],
            params=dict(trial.config["params"]),
            state=state,
            value=None if state == "failed" else result.get(VALUE),
            epochs=min(result.get("epoch", 0), self._sweep.base.train.epochs),
            seconds=round(result.get("time_total_s", 0.0), 2),
            error=error,
            seed_values=tuple(result.get("seed_values", ())),
        )
        self._folder.append(ended)
        before = best_of(self._ended)
        self._ended.append(ended)
        best = best_of(self._ended)
        for other in (before, ended):  # only the winner's state is needed later
            if other is not None and best is not None and other.number != best.number:
                self._folder.drop_checkpoints(other.params)
        say(f"{_line(ended, metric)}{self._progress(best)}")

    def _progress(self, best: Trial | None) -> str:
        done, total = len(self._ended), self._sweep.config.trials
        left = (time.perf_counter() - self._started) / (done - self._first) * (total - done)
        shown = "" if best is None else f"  best {best.value:.4f} (trial {best.number})"
        return f"{shown}  {done} of {total}, about {duration(left)} left"


def _line(trial: Trial, metric: str) -> str:
    what = f"failed: {trial.error}" if trial.value is None else f"{metric} {trial.value:.4f}"
    stopped = "" if trial.state != "stopped" else ", stopped early"
    return f"trial {trial.number}  {what}  ({trial.epochs} epochs, {duration(trial.seconds)}{stopped})"


def _last_line(text: str) -> str:
    """Of a trace the line that says what was wrong, without the name of the exception's class."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"^[\w.]+: ", "", lines[-1]) if lines else "no reason was given"
