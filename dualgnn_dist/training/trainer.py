"""The loop: batches -> losses -> updates, an exact ranking now and then, the best state kept, its test metrics once.

Knows no shard, no file format and no Ray. Every rank runs the same steps and the same evaluations, so collectives and
reports always meet.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dualgnn_dist.base.batch import Batch, to_device
from dualgnn_dist.base.errors import Stopped, UserError
from dualgnn_dist.base.screen import Say, StepProgress, nothing, say
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.evaluate import Candidates, Split, candidates_of, evaluate
from dualgnn_dist.evaluation.inference import infer
from dualgnn_dist.evaluation.representations import Representations
from dualgnn_dist.sampling.loader import Loader
from dualgnn_dist.training import checkpoint
from dualgnn_dist.training.checkpoint import checkpoint_name
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.progress import Progress
from dualgnn_dist.training.run_at_url import Mirror
from dualgnn_dist.training.run_folder import RunFolder
from dualgnn_dist.training.state import TrainingState, make_state
from dualgnn_dist.training.stop import StopMeetings
from dualgnn_dist.training.telemetry import Listener, Meter, Totals

Report = Callable[[Mapping[str, Any], Path], None]
Wrap = Callable[[nn.Module], nn.Module]


@dataclass(frozen=True)
class Outcome:
    """What a finished run knows: the best state's representations and its metrics.

    Args:
        test_by_candidates: by what was ranked, see `evaluation.Candidates`; the first is what the run is judged by.
    """

    progress: Progress
    representations: Representations
    test_by_candidates: dict[Candidates, dict[str, float]]

    @property
    def test(self) -> dict[str, float]:
        """The metrics that the run is judged by."""
        return next(iter(self.test_by_candidates.values()))


class Diverged(UserError):
    """The loss is no finite number. Every worker raises it at the same step; trying again would end the same."""


def ddp(model: nn.Module) -> nn.Module:
    """The default wrapper of the dense weights for a process group without Ray."""
    return DistributedDataParallel(model) if torch.distributed.is_initialized() else model


def silent(metrics: Mapping[str, Any], folder: Path) -> None:
    """Reports to nobody."""


class Trainer:
    """One worker's training of one run.

    Args:
        report: called by every rank after each checkpoint, with the metrics and the checkpoint's folder.
        wrap: puts the dense weights under data parallelism.
        listeners: take what this worker measures of itself, beside rank 0's run folder.
    """

    def __init__(
        self,
        config: RunConfig,
        store: Store,
        world: World,
        report: Report = silent,
        wrap: Wrap = ddp,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self._config, self._store, self._world, self._report = config, store, world, report
        self.state: TrainingState = make_state(config, store, world)
        has_weights = any(True for _ in self.state.model.parameters())
        self._wrapped = wrap(self.state.model) if has_weights and world.size > 1 else self.state.model
        self._in_bfloat16 = config.train.precision == "bfloat16"
        self.loader = Loader(store, self.state.model, config.sampler, config.run.seed, world, self._in_bfloat16)
        self.progress = Progress()
        self._candidates = candidates_of(store, bool(self.state.model.modalities))
        self.folder = RunFolder(config.run.folder, world.is_main)
        self._mirror = Mirror(config.run)
        self._say: Say = say if world.is_main else nothing
        self._stop = StopMeetings(config.run.folder, world)
        self._meter = Meter([*listeners, self.folder] if world.is_main else listeners)

    def resume(self, folder: Path | None) -> None:
        """Goes on from a checkpoint, written by any number of workers; None: from the start, forgetting the history."""
        if folder is not None:
            self.progress = Progress(**self.state.load(folder, self._world))
            self._say(f"resumed from {folder} after epoch {self.progress.epoch}, step {self.progress.step}")
        self.folder.forget_after(self.progress.epoch)

    def fit(self) -> Outcome:
        """Trains to the end and returns the test metrics of the best state."""
        self.train()
        return self.test()

    def train(self) -> None:
        """Trains until the epochs or the patience are used up; what was trained before is not trained again.

        Raises:
            Stopped: on every worker after the same step, once a checkpoint is written.
        """
        settings, progress = self._config.train, self.progress
        total, done = settings.epochs * self.loader.num_steps, progress.epoch * self.loader.num_steps
        lines = StepProgress(self._say, total, done + progress.step)
        while progress.epoch < settings.epochs and not progress.is_out_of_patience(settings.patience):
            if self._stop.meet():
                self._save_and_stop()
            self._train_epoch(lines)
            if progress.epoch % settings.eval_every == 0 or progress.epoch == settings.epochs:
                self._validate()

    def test(self) -> Outcome:
        """Takes over the state of the best epoch and ranks the test items with it."""
        best = self._checkpoint_folder(self.progress.best_epoch)
        self._mirror.complete(best)
        self.state.load(best, self._world)
        representations = self._infer()
        test = {candidates: self._rank(representations, "test", candidates) for candidates in self._candidates}
        self._meter.end_epoch(self.progress.best_epoch, _prefixed("test", next(iter(test.values()))))
        return Outcome(self.progress, representations, test)

    def train_step(self, batch: Batch) -> Tensor:
        """One update of everything; returns this worker's sum of losses (detached, on the device)."""
        state, world = self.state, self._world
        rows = {side: table.fetch(getattr(batch.around.subgraph, side)) for side, table in state.tables.items()}
        with torch.autocast(world.device.type, torch.bfloat16, enabled=self._in_bfloat16):
            losses = self._wrapped(batch, rows.get("users"), rows.get("items"))
        # Workers hold unequal slices of the batch. Averaging over workers, as DDP and the tables do, gives the mean
        # over the global batch when each worker's sum is divided by the global size and multiplied by the number of
        # workers.
        total = losses.float().sum()
        if state.dense_optimizer is not None:
            state.dense_optimizer.zero_grad()
        (total * (world.size / batch.global_size)).backward()
        if state.dense_optimizer is not None:
            state.dense_optimizer.step()
        for side, fetched in rows.items():
            state.tables[side].apply_gradients(fetched)
        return total.detach()

    def _train_epoch(self, lines: StepProgress) -> None:
        progress, world, num_steps = self.progress, self._world, self.loader.num_steps
        self.state.model.train()
        started, waited = time.perf_counter(), self.loader.waiting_seconds
        loss_sum = torch.tensor(progress.loss_sum if world.is_main else 0.0, dtype=torch.float64, device=world.device)
        steps_before, count_before = progress.step, progress.loss_count
        self._meter.start(lambda: self._totals(float(loss_sum)))

        def mean_loss() -> float:  # of this worker's slices: called only for a line on the screen
            return float(loss_sum) * world.size / progress.loss_count

        for batch in self.loader.epoch(progress.epoch, progress.step):
            loss_sum += self.train_step(to_device(batch, world.device))
            progress.step += 1
            progress.loss_count += batch.global_size
            self._meter.step()
            seconds = time.perf_counter() - started
            lines.step(
                f"epoch {progress.epoch + 1}/{self._config.train.epochs}  step {progress.step}/{num_steps}",
                progress.epoch * num_steps + progress.step,
                mean_loss,
                (progress.step - steps_before) * self._config.sampler.batch_size / seconds,
                (self.loader.waiting_seconds - waited) / seconds,
            )
            if progress.step < num_steps:
                self._between_steps(loss_sum)
        self._meter.read()
        seconds = time.perf_counter() - started
        interactions = progress.loss_count - count_before
        self._end_epoch(float(world.sum(loss_sum)), interactions, seconds, self.loader.waiting_seconds - waited)

    def _between_steps(self, loss_sum: Tensor) -> None:
        """A checkpoint within the epoch where one is due, or wanted by who stops the run."""
        progress, every = self.progress, self._config.checkpoint.every_steps
        is_asked, is_due = self._stop.after_step(), bool(every and progress.step % every == 0)
        if is_asked or is_due:
            progress.loss_sum = float(self._world.sum(loss_sum.clone()))
        if is_asked:
            self._save_and_stop()
        if is_due:
            self._save({"step": progress.epoch * self.loader.num_steps + progress.step})

    def _save_and_stop(self) -> NoReturn:
        progress = self.progress
        self._save({"step": progress.epoch * self.loader.num_steps + progress.step})
        self.folder.close()
        raise Stopped(f"checkpoint {self._checkpoint_folder(progress.epoch, progress.step)}; go on with --resume")

    def _totals(self, loss_sum: float) -> Totals:
        """What this worker has measured so far: numbers that are there anyway."""
        settings, loader, progress = self._config.train, self.loader, self.progress
        step = progress.epoch * loader.num_steps + progress.step
        counts: dict[str, float] = {**vars(loader.sampled), "waiting_seconds": loader.waiting_seconds}
        for side, table in self.state.tables.items():
            counts.update({f"{name}/{side}": count for name, count in vars(table.traffic).items()})
        return Totals(step, step / loader.num_steps, step / (settings.epochs * loader.num_steps), loss_sum, counts)

    def _end_epoch(self, loss_sum: float, interactions: int, seconds: float, waited: float) -> None:
        """`interactions` were trained in so many `seconds`: all of the epoch, or what was left of it."""
        progress = self.progress
        loss, rate = loss_sum / progress.loss_count, interactions / seconds
        if not math.isfinite(loss):
            raise Diverged(
                f"the loss of epoch {progress.epoch + 1} is {loss}: training has diverged; lower "
                f"optimizer.learning_rate (now {self._config.optimizer.learning_rate})"
            )
        progress.end_epoch(seconds, waited)
        record = {"loss": loss, "seconds": seconds, "interactions_per_second": rate, "waiting_share": waited / seconds}
        self._log("training", record)
        self._say(
            f"epoch {progress.epoch}/{self._config.train.epochs}  loss {loss:.4f}  {seconds:.1f} s  "
            f"{rate:,.0f} interactions/s  waiting for batches {waited / seconds:.0%}"
        )

    def _validate(self) -> None:
        progress, metric = self.progress, self._config.train.metric
        values = self._rank(self._infer(), "valid", self._candidates[0])
        previous_best = progress.best_epoch
        is_better = progress.judge(values, metric)
        self._log("validation", values)
        shown = "  ".join(f"{name} {values[name]:.4f}" for name in dict.fromkeys([metric, *self._shown_metrics()]))
        self._say(f"epoch {progress.epoch}  validation  {shown}{'  best so far' if is_better else ''}")
        self._save(values, keep=previous_best)

    def _log(self, kind: str, values: Mapping[str, float]) -> None:
        epoch = self.progress.epoch
        self.folder.log({"epoch": epoch, kind: values})
        self._meter.end_epoch(epoch, _prefixed(kind, values))

    def _shown_metrics(self) -> list[str]:
        k = self._config.train.metric.rpartition("@")[2]
        return [f"recall@{k}", f"ndcg@{k}"]

    def _infer(self) -> Representations:
        started = time.perf_counter()
        representations = infer(self.state.model, self.state.tables, self._store, self._world)
        self.progress.seconds["inference"] += time.perf_counter() - started
        return representations

    def _rank(self, representations: Representations, split: Split, candidates: Candidates) -> dict[str, float]:
        started, settings = time.perf_counter(), self._config.evaluation
        values = evaluate(
            representations, self._store, split, settings.ks, settings.ndcg_convention, self._world, candidates
        )
        self.progress.seconds["ranking"] += time.perf_counter() - started
        return values

    def _save(self, metrics: Mapping[str, float], keep: int | None = None) -> None:
        """Writes a checkpoint; beside it only that of the best epoch stays."""
        folder = self._checkpoint_folder(self.progress.epoch, self.progress.step)
        best = self._checkpoint_folder(self.progress.best_epoch)
        self.state.save(folder, self._world, dataclasses.asdict(self.progress))
        self._mirror.push_checkpoint(folder, self._world, keep=[best.name])
        self._report({**metrics, "epoch": self.progress.epoch, "best": self.progress.best}, folder)
        if self._world.is_main:
            for other in folder.parent.iterdir():
                if other not in (folder, best):
                    checkpoint.remove(other)

    def _checkpoint_folder(self, epoch: int, step: int = 0) -> Path:
        return self.folder.checkpoints / checkpoint_name(epoch, step)


def _prefixed(kind: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f"{kind}/{name}": value for name, value in values.items()}
