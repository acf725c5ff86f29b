"""The study: Optuna's record of the points that were tried, and which one comes next."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.trial import TrialState
from ray.tune.result import TRAINING_ITERATION
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from dualgnn_dist.launch.ray_tune.storage import open_storage, own_study, study_name
from dualgnn_dist.training.sweep.folder import SweepFolder, Trial
from dualgnn_dist.training.sweep.space import Distribution, Sweep

VALUE = "value"  # what is maximised: the best validation metric so far, the mean over seeds at the end


class Search(OptunaSearch):
    """Gives a trial its number in the study, and tells the study how every trial ends.

    Ray's own words to the study leave a trial RUNNING where its value is no number.

    Args:
        is_over: whether no trial is to begin any more.
    """

    def __init__(
        self, study: optuna.Study, space: dict[str, Any], sampler: Any, is_over: Callable[[], bool], **storage: Any
    ) -> None:
        super().__init__(space, metric=VALUE, mode="max", sampler=sampler, **storage)
        self.study, self._is_over = study, is_over
        self._told: set[str] = set()

    def suggest(self, trial_id: str) -> Any:
        """The next point, with the number that it has in the study."""
        if self._is_over():
            return Searcher.FINISHED
        params = super().suggest(trial_id)
        # `_ot_trials` is a private name of Ray, which is why pyproject.toml caps it.
        return None if params is None else {"params": params, "number": self._ot_trials[trial_id].number}

    def on_trial_result(self, trial_id: str, result: dict) -> None:
        """What a trial has come to so far."""
        if trial_id not in self._told:
            super().on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        """How a trial ended: COMPLETE, PRUNED where it was stopped early, FAIL where there is no value of it."""
        if trial_id in self._told or trial_id not in self._ot_trials:
            return
        self._told.add(trial_id)
        trial, result = self._ot_trials[trial_id], result or {}
        number, value = trial.number, result.get(VALUE)
        if error or (value is not None and not math.isfinite(value)):
            self.study.tell(number, state=TrialState.FAIL)
        elif value is not None and result.get("is_complete"):
            self.study.tell(number, value)
        else:
            if value is not None:  # Tune does not pass on the result for which it stopped a trial
                trial.report(value, result[TRAINING_ITERATION])
            self.study.tell(number, state=TrialState.PRUNED)

    # Tune would pickle it, and with it the database's password, into files that nobody reads: a sweep goes on from the
    # study and its own records.
    def save(self, checkpoint_path: str) -> None:
        """Writes nothing."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


def open_study(
    sweep: Sweep, folder: SweepFolder, ended: Sequence[Trial], resume: bool, is_over: Callable[[], bool]
) -> Search:
    """The study, new or as it was left: points whose trials came to no record come first, then the starting points.

    Raises:
        UserError: there is no such database, or the study in it is another sweep's.
    """
    storage = open_storage(sweep, folder)
    study = own_study(storage, sweep, folder, ended, resume)
    if not study.get_trials(deepcopy=False):
        for point in sweep.starting_points()[: sweep.config.trials]:
            study.enqueue_trial(point)
    end_running(study)
    _try_again(study, ended)
    # A seed of its own for each start: the same one would draw the same points again.
    sampler = optuna.samplers.TPESampler(seed=sweep.config.seed + len(ended), multivariate=True)
    space = {key: _optuna(distribution) for key, distribution in sweep.space.items()}
    return Search(study, space, sampler, is_over, study_name=study_name(sweep), storage=storage)


def end_running(study: optuna.Study) -> None:
    """Tells the study that what runs in it has failed: its sweep has ended, and nothing runs for ever."""
    for running in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(running.number, state=TrialState.FAIL, skip_if_finished=True)


@contextmanager
def ended_with(study: optuna.Study) -> Iterator[None]:
    """However the sweep ends, nothing runs in its study then, if the database can still be reached."""
    try:
        yield
    finally:
        with contextlib.suppress(Exception):  # the error that ends the sweep is the one to be read
            end_running(study)


def _try_again(study: optuna.Study, ended: Sequence[Trial]) -> None:
    """Queues the points whose trials left no record, each once however often the sweep was killed.

    What the study knows of them does not matter: the run of a point finds its folder again and goes on there.
    """
    trials = study.get_trials(deepcopy=False)
    recorded = {trial.number for trial in ended}
    queued = [trial.system_attrs.get("fixed_params") for trial in trials if trial.state == TrialState.WAITING]
    known = [*queued, *(trial.params for trial in ended)]
    for trial in trials:
        if trial.state.is_finished() and trial.number not in recorded and trial.params not in [{}, *known]:
            known.append(trial.params)
            study.enqueue_trial(trial.params)


def _optuna(distribution: Distribution) -> optuna.distributions.BaseDistribution:
    if distribution.kind == "choice":
        return optuna.distributions.CategoricalDistribution(distribution.options)
    if distribution.kind == "int":
        return optuna.distributions.IntDistribution(int(distribution.low), int(distribution.high))
    return optuna.distributions.FloatDistribution(
        distribution.low, distribution.high, log=distribution.kind == "loguniform"
    )
