"""Pictures of a sweep as Optuna draws them: importance and parallel coordinates. The report's page draws the rest."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.visualization import matplotlib as drawing

from dualgnn_dist.launch.ray_tune.storage import open_storage, study_name
from dualgnn_dist.training.sweep.folder import SweepFolder, Trial
from dualgnn_dist.training.sweep.space import Sweep

_FEWEST = 2  # trials with a value below which there is nothing to compare


def draw(sweep: Sweep, folder: SweepFolder, trials: Sequence[Trial]) -> list[Path]:
    """Draws what can be drawn of the trials there are; returns the files."""
    measured = [trial for trial in trials if trial.value is not None]
    if len(measured) < _FEWEST:
        return []
    study = optuna.load_study(study_name=study_name(sweep), storage=open_storage(sweep, folder))
    metric = sweep.base.train.metric
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()  # needs no other package
    paths = [
        _saved(
            folder.path / "importance.png",
            lambda: drawing.plot_param_importances(study, evaluator=evaluator, target_name=f"high {metric}"),
        ),
        _saved(folder.path / "parallel.png", lambda: drawing.plot_parallel_coordinate(study, target_name=metric)),
    ]
    return [path for path in paths if path is not None]


def _saved(path: Path, draw_it: Callable[[], Any]) -> Path | None:
    """The file, or None where the trials are too few or too alike for that picture."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that Optuna's drawing is experimental
        try:
            figure = draw_it().figure
        except (ValueError, RuntimeError):
            return None
    figure.set_size_inches(8, 4.5)
    figure.savefig(path, dpi=110, bbox_inches="tight")
    return path
