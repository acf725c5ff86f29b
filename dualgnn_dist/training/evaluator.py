"""The state of a training ranked: exact representations, exact lists, and the seconds of both."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import torch

from dualgnn_dist.base.liveness import heartbeat
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation import popularity
from dualgnn_dist.evaluation.beyond import ListCounts, beyond_accuracy
from dualgnn_dist.evaluation.config import EvaluationConfig
from dualgnn_dist.evaluation.evaluate import Candidates, Split, candidates_of, evaluate
from dualgnn_dist.evaluation.inference import infer
from dualgnn_dist.evaluation.representations import Representations
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.progress import Progress
from dualgnn_dist.training.run import Run
from dualgnn_dist.training.state import TrainingState, make_state

ByCandidates = dict[Candidates, dict[str, float]]
"""Metrics by what was ranked; the first is what a run is judged by."""


class Tested(NamedTuple):
    """What is known of the test lists.

    Attributes:
        by_candidates: metrics by what was ranked; the first is what the run is judged by.
        beyond: of those first lists, see `evaluation.beyond`.
        baselines: name -> metrics and figures of what needs no training, ranked as the first.
    """

    by_candidates: ByCandidates
    beyond: dict[str, float]
    baselines: dict[str, dict[str, float]]


class Evaluator:
    """Ranks a split with the state as it is now. Every worker must call each method.

    Args:
        seconds: what each stage takes is added to its `inference` and `ranking`.
    """

    def __init__(
        self, state: TrainingState, store: Store, settings: EvaluationConfig, world: World, seconds: dict[str, float]
    ) -> None:
        self._state, self.store, self._settings, self._world = state, store, settings, world
        self._candidates = candidates_of(store, bool(state.model.modalities))
        self._seconds = seconds

    def represent(self) -> Representations:
        """Exact representations of all users and items."""
        started = time.perf_counter()
        representations = infer(self._state.model, self._state.tables, self.store, self._world)
        self._seconds["inference"] += time.perf_counter() - started
        return representations

    def validate(self) -> dict[str, float]:
        """The validation metrics that a run is judged by."""
        return self._rank(self.represent(), "valid", self._candidates[0])

    def rank(self, representations: Representations, split: Split) -> ByCandidates:
        """The metrics of a split for all kinds of candidates."""
        return {candidates: self._rank(representations, split, candidates) for candidates in self._candidates}

    def test(self, representations: Representations) -> Tested:
        """The test metrics, what the lists are beside accurate, and both of what needs no training."""
        judged, *others = self._candidates
        started = time.perf_counter()
        metrics, beyond = self._describe(representations, judged)
        self._seconds["ranking"] += time.perf_counter() - started
        by_candidates = {judged: metrics} | {other: self._rank(representations, "test", other) for other in others}
        popular, beyond_of_popular = self._describe(popularity.by_popularity(self.store, self._world), judged)
        return Tested(by_candidates, beyond, {popularity.NAME: popular | beyond_of_popular})

    def _rank(self, representations: Representations, split: Split, candidates: Candidates) -> dict[str, float]:
        started = time.perf_counter()
        values = evaluate(representations, self.store, self._settings.protocol(split, candidates), self._world)
        self._seconds["ranking"] += time.perf_counter() - started
        return values

    def _describe(
        self, representations: Representations, candidates: Candidates
    ) -> tuple[dict[str, float], dict[str, float]]:
        counts = ListCounts(self.store, candidates, self._settings.ks)
        protocol = self._settings.protocol("test", candidates)
        metrics = evaluate(representations, self.store, protocol, self._world, counts.add)
        counts.sum_over(self._world)
        return metrics, beyond_accuracy(counts, self.store, candidates)


def evaluate_checkpoint(config: RunConfig, host: Host, what: tuple[Split, Path]) -> ByCandidates:
    """The split's metrics of a checkpoint of the run, or of another with the same model and store. Every worker must
    call it.
    """
    world, (split, folder) = host.world, what
    heartbeat.phase("ranking the held-out items")
    torch.set_num_threads(world.num_threads)
    store = config.data.open()
    state = make_state(config, store, world)
    state.written_by.pop("seed")  # any run's may be asked for
    state.load(folder, world)
    evaluator = Evaluator(state, store, config.evaluation, world, Progress().seconds)
    metrics = evaluator.rank(evaluator.represent(), split)
    store.wait_until_checked(world)
    return metrics


def evaluate_best(config: RunConfig, host: Host, split: Split) -> ByCandidates:
    """The same of the run's best checkpoint."""
    return evaluate_checkpoint(config, host, (split, Run(config.run).best()))
