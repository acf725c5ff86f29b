"""The study: Optuna's record of the points that were tried, and which one comes next."""

from __future__ import annotations

from collections.abc import Sequence

import optuna
from ray.tune.search.optuna import OptunaSearch

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.training.sweep.folder import STUDY, SweepFolder, Trial
from dualgnn_dist.training.sweep.space import Distribution, Sweep

VALUE = "value"  # what is maximised: the best validation metric so far, the mean over seeds at the end


def study_url(sweep: Sweep, folder: SweepFolder) -> str:
    """Where the study lies, as `optuna-dashboard` takes it."""
    return sweep.config.study or f"sqlite:///{folder.path / STUDY}"


def study_name(sweep: Sweep) -> str:
    """Of the study in its storage."""
    return sweep.folder.name


class _Search(OptunaSearch):
    """Adds the trial's number in the study to what a trial is given, and tells the study of failures."""

    def suggest(self, trial_id: str) -> dict | None:
        params = super().suggest(trial_id)
        # `_ot_trials` is a private name of Ray, which is why pyproject.toml caps it.
        return None if params is None else {"params": params, "number": self._ot_trials[trial_id].number}

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:
        super().on_trial_complete(trial_id, None if error else result, error)


def open_study(sweep: Sweep, folder: SweepFolder, ended: Sequence[Trial]) -> OptunaSearch:
    """The study, new or as it was left: points whose trials were killed come first, then the starting points.

    Raises:
        UserError: there is no such database.
    """
    try:
        storage = optuna.storages.RDBStorage(study_url(sweep, folder))
    except Exception as error:  # whatever the driver of that database raises
        raise UserError(f"sweep.study={sweep.config.study!r} cannot be opened: {error}") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=storage, study_name=study_name(sweep), direction="maximize", load_if_exists=True
    )
    if not study.trials:
        for point in sweep.starting_points()[: sweep.config.trials]:
            study.enqueue_trial(point)
    known = {trial.number for trial in ended}
    for killed in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(killed.number, state=optuna.trial.TrialState.FAIL)
        if killed.number not in known:
            study.enqueue_trial(killed.params)
    # A seed of its own for each start: the same one would draw the same points again.
    sampler = optuna.samplers.TPESampler(seed=sweep.config.seed + len(ended), multivariate=True)
    space = {key: _optuna(distribution) for key, distribution in sweep.space.items()}
    return _Search(space, metric=VALUE, mode="max", sampler=sampler, study_name=study_name(sweep), storage=storage)


def _optuna(distribution: Distribution) -> optuna.distributions.BaseDistribution:
    if distribution.kind == "choice":
        return optuna.distributions.CategoricalDistribution(distribution.options)
    if distribution.kind == "int":
        return optuna.distributions.IntDistribution(int(distribution.low), int(distribution.high))
    return optuna.distributions.FloatDistribution(
        distribution.low, distribution.high, log=distribution.kind == "loguniform"
    )
