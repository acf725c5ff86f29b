"""The loop: batches -> losses -> updates, an exact ranking now and then, the best state kept, its test metrics once.

Knows no shard, no file format and no Ray. Every rank runs the same steps and the same evaluations, so collectives and
reports always meet.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor

from dualgnn_dist.base.batch import Batch, to_device
from dualgnn_dist.base.errors import Stopped, UserError
from dualgnn_dist.base.liveness import heartbeat
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.representations import Representations
from dualgnn_dist.sampling.loader import Loader
from dualgnn_dist.training.checkpoint import SaveClock
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.divergence import record
from dualgnn_dist.training.divergence.watch import Watch
from dualgnn_dist.training.evaluator import ByCandidates, Evaluator, Tested
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.progress import Progress
from dualgnn_dist.training.recorder import Recorder
from dualgnn_dist.training.resume import is_best_lost, newest_whole
from dualgnn_dist.training.run import Run
from dualgnn_dist.training.state import TrainingState, make_state
from dualgnn_dist.training.stop import StopMeetings, Wanted


@dataclass(frozen=True)
class Outcome:
    """What a finished run knows: the best state's representations and its metrics.

    Args:
        tested: its metrics, and what its lists are beside accurate.
    """

    progress: Progress
    representations: Representations
    tested: Tested

    @property
    def test_by_candidates(self) -> ByCandidates:
        """By what was ranked, see `evaluation.Candidates`; the first is what the run is judged by."""
        return self.tested.by_candidates

    @property
    def test(self) -> dict[str, float]:
        """The metrics that the run is judged by."""
        return next(iter(self.test_by_candidates.values()))


class Diverged(UserError):
    """A step was no finite number. Every worker raises it after the same step; trying again would end the same."""


class Trainer:
    """One worker's training of one run, put together by `build` from parts that each own what is theirs.

    Attributes:
        progress: where the run is; the parts look at this very object.
    """

    def __init__(
        self,
        config: RunConfig,
        state: TrainingState,
        loader: Loader,
        evaluator: Evaluator,
        run: Run,
        recorder: Recorder,
        progress: Progress,
        host: Host,
    ) -> None:
        self.config, self.state, self.loader, self.evaluator = config, state, loader, evaluator
        self.run, self.recorder, self.progress, self.world = run, recorder, progress, host.world
        has_weights = any(True for _ in state.model.parameters())
        self._wrapped = host.wrap(state.model) if has_weights and host.world.size > 1 else state.model
        self._in_bfloat16 = config.train.precision == "bfloat16"
        self._report = host.report
        self._clock, self._watch = SaveClock(config.checkpoint.every_minutes), Watch(host.world.device)
        self._stop = StopMeetings(run.folder, host.world, self._clock.is_due, self._watch.is_broken)
        self._has_lost_best = False

    @classmethod
    def build(cls, config: RunConfig, store: Store, host: Host) -> Trainer:
        """The training of a config's run from its first step on; `resume` goes to a later one."""
        state, progress, run = make_state(config, store, host.world), Progress(), Run(config.run)
        in_bfloat16 = config.train.precision == "bfloat16"
        loader = Loader(store, state.model, config.sampler, config.run.seed, host.world, in_bfloat16)
        evaluator = Evaluator(state, store, config.evaluation, host.world, progress.seconds)
        recorder = Recorder(run.folder, config, loader, state.tables, host)
        return cls(config, state, loader, evaluator, run, recorder, progress, host)

    def resume(self) -> None:
        """Goes on from the run's newest whole checkpoint, written by any number of workers; from the start if it has
        none. What is damaged is set aside.
        """
        self.run.fetch()
        self.state.written_by["run"] = self.run.identify(self.world)
        newest = newest_whole(self.run, self.world, self.recorder.say)
        if newest is not None:
            self.progress.load(self.state.load(newest, self.world, is_checked=True))
            self._has_lost_best = is_best_lost(self.run, self.progress, self.world, self.recorder.say)
        self.recorder.resumed(newest, self.progress)

    def fit(self) -> Outcome:
        """Trains to the end and returns the test metrics of the best state."""
        self.train()
        return self.test()

    def train(self) -> None:
        """Trains until the epochs or the patience are used up; what was trained before is not trained again.

        Raises:
            Stopped: on every worker after the same step, once a checkpoint is written.
        """
        settings, progress = self.config.train, self.progress
        self.recorder.begin(progress)
        if self._has_lost_best and progress.step == 0:
            self._validate()  # of what is whole, this is the best
        while progress.epoch < settings.epochs and not progress.is_out_of_patience(settings.patience):
            self._meet(self._stop.meet())
            self._train_epoch()
            if progress.epoch % settings.eval_every == 0 or progress.epoch == settings.epochs:
                self._validate()

    def test(self) -> Outcome:
        """Takes over the state of the best epoch and ranks the test items with it."""
        heartbeat.phase("ranking the test items")
        self.state.load(self.run.best(self.progress), self.world)
        representations = self.evaluator.represent()
        outcome = Outcome(self.progress, representations, self.evaluator.test(representations))
        self.recorder.tested(self.progress, outcome.test)
        return outcome

    def train_step(self, batch: Batch) -> Tensor:
        """One update of everything; returns this worker's sum of losses (detached, on the device)."""
        state, world = self.state, self.world
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
        self._watch.saw(total, [value.grad for value in (*state.model.parameters(), *rows.values())])
        for side, fetched in rows.items():
            state.tables[side].apply_gradients(fetched)
        return total.detach()

    def _train_epoch(self) -> None:
        progress, world = self.progress, self.world
        self.state.model.train()
        loss_sum = torch.tensor(progress.loss_sum if world.is_main else 0.0, dtype=torch.float64, device=world.device)
        self.recorder.begin_epoch(progress, loss_sum)
        for batch in self.loader.epoch(progress.epoch, progress.step):
            loss_sum += self.train_step(to_device(batch, world.device))
            progress.step += 1
            heartbeat.stepped(progress.epoch, progress.step)
            progress.loss_count += batch.global_size
            self.recorder.step(progress, loss_sum)
            if progress.step < self.loader.num_steps:
                self._between_steps(loss_sum)
        loss = float(world.sum(loss_sum)) / progress.loss_count
        self._break_off_unless_finite()
        self.recorder.end_epoch(progress, loss)

    def _between_steps(self, loss_sum: Tensor) -> None:
        """A checkpoint within the epoch where one is due, or wanted by who stops the run."""
        progress, every = self.progress, self.config.checkpoint.every_steps
        wanted = self._stop.after_step()
        if every and progress.step % every == 0:
            wanted |= Wanted.SAVE
        if wanted:
            progress.loss_sum = float(self.world.sum(loss_sum.clone()))
            self._meet(wanted)

    def _meet(self, wanted: Wanted) -> None:
        """Does what the workers agreed on; a state that is not finite is neither saved nor trained on."""
        if wanted:
            self._break_off_unless_finite()
        if Wanted.STOP in wanted:
            self._save_and_stop()
        if Wanted.SAVE in wanted and (self.progress.epoch or self.progress.step):  # else there is nothing to keep yet
            self._save()

    def _break_off_unless_finite(self, must_not_be: Sequence[str] = ()) -> None:
        """Ends the run on every worker if a step since the last call was not finite on any.

        Args:
            must_not_be: what else is known not to be finite on this worker.
        """
        progress, num_steps = self.progress, self.loader.num_steps
        now = progress.epoch * num_steps + progress.step
        steps_ago = self._watch.look()
        if not self.world.agree(bool(must_not_be) or steps_ago is not None):
            return
        own = now - (steps_ago or 0), sorted(must_not_be)
        answers = [json.loads(answer) for answer in self.world.gather_texts(json.dumps(own))]
        bad_steps = [step for step, _ in answers if step < now]
        raise self._diverged(min(bad_steps, default=None), sorted({name for _, names in answers for name in names}))

    def _diverged(self, bad_step: int | None, not_finite: Sequence[str]) -> Diverged:
        """What went wrong, with what was in the batch of step `bad_step` of the run, or else of the last one."""
        progress, num_steps, world = self.progress, self.loader.num_steps, self.world
        last = progress.epoch * num_steps + progress.step - 1
        epoch, step = divmod(max(last, 0) if bad_step is None else bad_step, num_steps)
        own = record.in_batch(self.loader, self.state, self.evaluator.store, world, epoch, step)
        workers = [json.loads(text) for text in world.gather_texts(json.dumps(own))]
        message = ""
        if world.is_main:
            path = record.write(self.run.folder, epoch + 1, step + 1, {"not_finite": not_finite, "workers": workers})
            self.recorder.diverged(progress, epoch + 1, step + 1, path)
            self.run.keep_record()
            newest, rate = self.run.newest(), self.config.optimizer.rate
            cure = record.cure(None if newest is None else newest.name, rate)
            what = record.told(epoch + 1, step + 1, not_finite if bad_step is None else None, workers)
            message = f"training has diverged: {what}; the batch is in {path}; {cure}"
        return Diverged(world.gather_texts(message)[0])

    def _validate(self) -> None:
        heartbeat.phase("ranking the validation items")
        self._break_off_unless_finite(self.state.parts_not_finite())  # ranking refuses it with less to say
        values = self.evaluator.validate()
        is_best = self.progress.judge(values, self.config.train.metric)
        self.recorder.validated(self.progress, values, is_best)
        self._save(values)

    def _save(self, metrics: dict[str, float] | None = None) -> None:
        """Writes a checkpoint and tells the host, with the validation's metrics or the step it was written after."""
        progress = self.progress
        heartbeat.phase("writing a checkpoint")
        self._break_off_unless_finite(self.state.parts_not_finite())
        with self._clock.saving():
            folder = self.run.save(self.state, progress, self.world)
        values = metrics or {"step": progress.epoch * self.loader.num_steps + progress.step}
        self._report({**values, "epoch": progress.epoch, "best": progress.best}, folder)
        if self.world.is_main:
            self.run.drop_checkpoints(progress)

    def _save_and_stop(self) -> NoReturn:
        self._save()
        self.recorder.close()
        folder = self.run.checkpoint(self.progress.epoch, self.progress.step)
        raise Stopped(f"checkpoint {folder}; go on with --resume")
