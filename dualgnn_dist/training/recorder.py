"""What a run says of itself while it goes on: lines on the screen, its history, and readings for who listens.

The loop tells it of steps and epochs. Rank 0 alone speaks and writes; every rank measures itself for its listeners.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from dualgnn_dist.base.config import flat
from dualgnn_dist.base.kernels import seconds_compiling
from dualgnn_dist.base.screen import StepProgress, nothing, say
from dualgnn_dist.base.storage.files import write_atomically
from dualgnn_dist.embeddings.sharded_table import ShardedTable
from dualgnn_dist.evaluation.metrics import headline
from dualgnn_dist.sampling.loader import Loader
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.listeners.telemetry import Meter, Totals
from dualgnn_dist.training.listeners.tensorboard import TensorBoard
from dualgnn_dist.training.progress import Progress
from dualgnn_dist.training.run_folder import CONFIG, HISTORY, KEPT, TENSORBOARD


class Recorder:
    """The record of one worker's part of a run.

    Args:
        folder: of the run.
        loader, tables: are asked for the numbers that they count up anyway.

    Attributes:
        say: puts a line on the screen, of rank 0 alone.
    """

    def __init__(
        self, folder: Path, config: RunConfig, loader: Loader, tables: Mapping[str, ShardedTable], host: Host
    ) -> None:
        self._folder, self._config, self._loader, self._tables = folder, config, loader, tables
        self._world = host.world
        self._board = TensorBoard(folder / TENSORBOARD) if host.world.is_main else None
        self.say = say if host.world.is_main else nothing
        self._meter = Meter([*host.listeners, *([] if self._board is None else [self._board])])

    def resumed(self, checkpoint: Path | None, progress: Progress) -> None:
        """Goes on from a checkpoint; None: from the start. What the history says of later epochs is made anew.

        That a run diverged, or was resumed with other settings, stays in it.
        """
        if checkpoint is not None:
            self.say(f"resumed from {checkpoint} after epoch {progress.epoch}, step {progress.step}")
        path = self._folder / HISTORY
        if self._world.is_main and path.exists():
            lines = [line for line in path.read_text().splitlines() if _stays(line, progress.epoch)]
            write_atomically(path, "".join(line + "\n" for line in lines))

    def begin(self, progress: Progress) -> None:
        """The training begins, or goes on."""
        total = self._config.train.epochs * self._loader.num_steps
        self._lines = StepProgress(self.say, total, self._steps(progress), seconds_compiling)

    def begin_epoch(self, progress: Progress, loss_sum: Tensor) -> None:
        """An epoch begins, or what is left of one. `loss_sum`, float64 [], is what the loop adds this worker's to."""
        self._epoch = _Epoch(progress, self._loader.waiting_seconds)
        self._meter.start(lambda: self._totals(progress, float(loss_sum)))

    def step(self, progress: Progress, loss_sum: Tensor) -> None:
        """A step is done; the progress counts it."""
        self._meter.step()
        seconds, waited = self._epoch.seconds(), self._loader.waiting_seconds - self._epoch.waited_before

        def mean_loss() -> float:  # of this worker's slices: called only for a line on the screen
            return float(loss_sum) * self._world.size / progress.loss_count

        self._lines.step(
            f"epoch {progress.epoch + 1}/{self._config.train.epochs}  step {progress.step}/{self._loader.num_steps}",
            self._steps(progress),
            mean_loss,
            (progress.step - self._epoch.steps_before) * self._config.sampler.batch_size / seconds,
            waited / seconds,
        )

    def end_epoch(self, progress: Progress, loss: float) -> None:
        """All steps of the epoch are done, and its mean `loss` over all workers is known: the next one is up."""
        self._meter.publish()
        seconds, waited = self._epoch.seconds(), self._loader.waiting_seconds - self._epoch.waited_before
        rate = (progress.loss_count - self._epoch.count_before) / seconds
        progress.end_epoch(seconds, waited)
        record = {"loss": loss, "seconds": seconds, "interactions_per_second": rate, "waiting_share": waited / seconds}
        self._log(progress.epoch, "training", record)
        self.say(
            f"epoch {progress.epoch}/{self._config.train.epochs}  loss {loss:.4f}  {seconds:.1f} s  "
            f"{rate:,.0f} interactions/s  waiting for batches {waited / seconds:.0%}"
        )

    def validated(self, progress: Progress, values: Mapping[str, float], is_best: bool) -> None:
        """The validation items were ranked."""
        self._log(progress.epoch, "validation", values)
        shown = "  ".join(f"{name} {values[name]:.4f}" for name in headline(self._config.train.metric))
        self.say(f"epoch {progress.epoch}  validation  {shown}{'  best so far' if is_best else ''}")

    def tested(self, progress: Progress, values: Mapping[str, float]) -> None:
        """The test items were ranked with the state of the best epoch."""
        self._meter.end_epoch(progress.best_epoch, _prefixed("test", values))
        if self._board is not None and (self._folder / CONFIG).exists():
            self._board.finish(flat(yaml.safe_load((self._folder / CONFIG).read_text())), values)

    def diverged(self, progress: Progress, epoch: int, step: int, file: Path) -> None:
        """A step, both counted from 1, was not finite; what was in its batch is in `file`. Rank 0 calls this."""
        self._write({"epoch": progress.epoch, "diverged": {"epoch": epoch, "step": step, "file": file.name}})

    def close(self) -> None:
        """Ends TensorBoard's file."""
        if self._board is not None:
            self._board.close()

    def _log(self, epoch: int, kind: str, values: Mapping[str, float]) -> None:
        if self._world.is_main:
            self._write({"epoch": epoch, kind: values})
        self._meter.end_epoch(epoch, _prefixed(kind, values))

    def _write(self, line: Mapping[str, Any]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / HISTORY).open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _totals(self, progress: Progress, loss_sum: float) -> Totals:
        """What this worker has measured so far."""
        loader, step = self._loader, self._steps(progress)
        counts: dict[str, float] = {**vars(loader.sampled), "waiting_seconds": loader.waiting_seconds}
        for side, table in self._tables.items():
            counts.update({f"{name}/{side}": count for name, count in vars(table.traffic).items()})
        total = self._config.train.epochs * loader.num_steps
        return Totals(step, step / loader.num_steps, step / total, loss_sum, counts)

    def _steps(self, progress: Progress) -> int:
        """Of the whole run so far."""
        return progress.epoch * self._loader.num_steps + progress.step


class _Epoch:
    """Where an epoch stood when it began or went on."""

    def __init__(self, progress: Progress, waited: float) -> None:
        self.steps_before, self.count_before, self.waited_before = progress.step, progress.loss_count, waited
        self._started = time.perf_counter()

    def seconds(self) -> float:
        return time.perf_counter() - self._started


def _prefixed(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{kind}/{name}": value for name, value in values.items()}


def _stays(line: str, epoch: int) -> bool:
    """Whether a line of the history is still true of a run that goes on after so many epochs."""
    try:
        values = json.loads(line)
        return bool(values["epoch"] <= epoch or KEPT & values.keys())
    except (ValueError, TypeError, KeyError, AttributeError):  # the line during which the run was killed
        return False
