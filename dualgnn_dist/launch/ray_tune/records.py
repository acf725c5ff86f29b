"""What is kept and said of every trial, however it ends."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ray.tune

from dualgnn_dist.base.screen import duration, say
from dualgnn_dist.launch.ray_tune.failures import is_its_own, reason
from dualgnn_dist.launch.ray_tune.study import VALUE
from dualgnn_dist.launch.ray_tune.waiting import Waiting
from dualgnn_dist.training.stop import STOP, is_asked
from dualgnn_dist.training.sweep.folder import SweepFolder, Trial, best_of
from dualgnn_dist.training.sweep.space import Sweep


class TrialRecords(ray.tune.Callback):
    """In the driver: a record, a line on the screen and the next best for every trial that ends.

    Args:
        is_over: whether the sweep was asked to stop. The trials that run are told; those that have not come to their
            end then get no record, and are gone on with later.
    """

    def __init__(
        self, sweep: Sweep, folder: SweepFolder, ended: Sequence[Trial], is_over: Callable[[], bool] = lambda: False
    ) -> None:
        self._sweep, self._folder, self._ended, self._is_over = sweep, folder, list(ended), is_over
        self._started, self._first = time.perf_counter(), len(ended)
        self._recorded: set[str] = set()
        self._trials: list[Any] = []
        self._waiting = Waiting()

    def on_step_end(self, iteration: int, trials: list[Any], **_: Any) -> None:
        """Several times a second: tells those that run to stop, where somebody asks for it."""
        self._trials = trials
        self._waiting.look(trials)
        if not self._is_over():
            return
        for trial in trials:
            if trial.status == "RUNNING":
                self._ask_to_stop(trial.config["params"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """It came to its end, or was stopped."""
        is_complete = (trial.last_result or {}).get("is_complete", False)
        self._record(trial, "complete" if is_complete else "stopped", None)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """It raised, or its process ended; the sweep goes on."""
        if not self._is_over():
            self._record_failure(trial)

    def settle(self) -> None:
        """Records those that Ray has ended, or forgotten, without a word; once no trial runs any more."""
        for trial in self._trials:
            if trial.trial_id not in self._recorded:
                self._record_failure(trial)

    def _record_failure(self, trial: Any) -> None:
        text = "Ray ended it without a reason"
        with contextlib.suppress(OSError):
            text = Path(trial.error_file).read_text(errors="replace") if trial.error_file else text
        why = reason(text)
        if not is_its_own(text):
            with contextlib.suppress(OSError):
                why = f"{why}; all of it: {self._folder.keep_error(trial.config['params'], text)}"
        self._record(trial, "failed", why)

    def _record(self, trial: Any, state: Any, error: str | None) -> None:
        if trial.trial_id in self._recorded:
            return
        result, metric = trial.last_result or {}, self._sweep.base.train.metric
        value = result.get(VALUE)
        if state != "failed" and value is not None and not math.isfinite(value):
            state, error = "failed", f"its {metric} is {value}, which is no number"
        ended = Trial(
            number=trial.config["number"],
            params=dict(trial.config["params"]),
            state=state,
            value=None if state == "failed" else value,
            epochs=min(result.get("epoch", 0), self._sweep.base.train.epochs),
            seconds=round(result.get("time_total_s", 0.0), 2),
            error=error,
            seed_values=tuple(seed for seed in result.get("seed_values", ()) if math.isfinite(seed)),
        )
        self._folder.append(ended)
        self._recorded.add(trial.trial_id)
        self._keep_best(ended)
        say(f"{_line(ended, metric)}{self._progress(best_of(self._ended))}")

    def _keep_best(self, ended: Trial) -> None:
        """Drops the checkpoints of those that will not win: only the winner's state is needed later."""
        before = best_of(self._ended)
        self._ended.append(ended)
        best = best_of(self._ended)
        for other in (before, ended):
            if other is not None and best is not None and other.number != best.number:
                with contextlib.suppress(OSError):  # workers that end may still be writing there
                    self._folder.drop_checkpoints(other.params)

    def _ask_to_stop(self, params: dict[str, Any]) -> None:
        for seed in range(self._sweep.config.seeds):
            run = self._sweep.run(params, seed).run.folder
            with contextlib.suppress(OSError):  # it has not begun, or has just ended
                if (run / STOP).exists() and not is_asked(run):
                    (run / STOP).write_text("the sweep was asked to stop")

    def _progress(self, best: Trial | None) -> str:
        done, total = len(self._ended), self._sweep.config.trials
        left = (time.perf_counter() - self._started) / (done - self._first) * (total - done)
        shown = "" if best is None else f"  best {best.value:.4f} (trial {best.number})"
        return f"{shown}  {done} of {total}, about {duration(left)} left"


def _line(trial: Trial, metric: str) -> str:
    if trial.value is not None:
        what = f"{metric} {trial.value:.4f}"
    else:
        what = f"failed: {trial.error}" if trial.state == "failed" else "nothing was measured"
    stopped = "" if trial.state != "stopped" else ", stopped early"
    return f"trial {trial.number}  {what}  ({trial.epochs} epochs, {duration(trial.seconds)}{stopped})"
