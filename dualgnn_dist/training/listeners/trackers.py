"""MLflow and Weights & Biases, for those who keep their runs there: `run.trackers: [mlflow, wandb]`.

Neither is needed, and neither is imported before a run asks for it. What they show is what `history.jsonl` holds. A
tracker in trouble says so once and is left out; the training goes on.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from dualgnn_dist.base.config import flat
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import Say
from dualgnn_dist.training.listeners.telemetry import Listener

TrackerName = Literal["mlflow", "wandb"]
RUN_IDS = "trackers.json"  # in the run folder: a run that is resumed goes on with its runs over there
_PROJECT = "dualgnn_dist"
_LONGEST_MLFLOW_VALUE = 6000  # characters of a parameter


class Tracker(Protocol):
    """One run in somebody else's book."""

    run_id: str

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """Values of an epoch."""

    def finish(self, succeeded: bool) -> None:
        """The run has ended."""


def check(names: Sequence[TrackerName]) -> None:
    """Refuses trackers whose package is not installed.

    Raises:
        UserError: names the extra that brings the package.
    """
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise UserError(
                f"run.trackers names {name!r}, which is not installed; pip install 'dualgnn-dist[{name}]' brings it, "
                "or leave it out"
            )


@contextmanager
def tracking(
    names: Sequence[TrackerName], folder: Path, settings: Mapping[str, Any], say: Say
) -> Iterator[list[Listener]]:
    """The trackers of one run, for rank 0 alone; they are told how the run ended when the context is left.

    Args:
        folder: of the run; its name is the run's.
        settings: the run's config, in sections.

    Raises:
        UserError: what `check` raises.
    """
    check(names)
    known = _read_ids(folder)
    books = [_Careful(name, partial(_TRACKERS[name], folder, settings, known.get(name)), say) for name in names]
    ids = {**known, **{book.name: book.run_id for book in books if book.run_id is not None}}
    if ids != known:
        (folder / RUN_IDS).write_text(json.dumps(ids) + "\n")
    succeeded = False
    try:
        yield [*books]
        succeeded = True
    finally:
        for book in books:
            book.finish(succeeded)


class _Careful(Listener):
    """Keeps a tracker's troubles from the training: says the first one and goes on without the tracker."""

    def __init__(self, name: str, connect: Callable[[], Tracker], say: Say) -> None:
        self.name, self._say = name, say
        self._tracker: Tracker | None = None
        with self._or_without():
            self._tracker = connect()
        self.run_id = self._tracker.run_id if self._tracker is not None else None

    def hear_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Passes the values on."""
        if self._tracker is not None:
            with self._or_without():
                self._tracker.log(epoch, values)

    def finish(self, succeeded: bool) -> None:
        """Tells how the run ended."""
        if self._tracker is not None:
            with self._or_without():
                self._tracker.finish(succeeded)

    @contextmanager
    def _or_without(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever it is, the training is worth more
            self._tracker = None
            reason = str(error).strip().partition("\n")[0]
            self._say(f"{self.name} is left out from here on: {type(error).__name__}: {reason}")


class _MLflow:
    """A run of the experiment `MLFLOW_EXPERIMENT_NAME` at `MLFLOW_TRACKING_URI`, by default beside the run folders."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], run_id: str | None) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # a server that is not there holds up training
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        mlflow = importlib.import_module("mlflow")
        self._entities = importlib.import_module("mlflow.entities")
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder.absolute().parent / 'mlflow.db'}"
        self._client = mlflow.MlflowClient(tracking_uri=uri)
        if run_id is not None:
            self.run_id = run_id
            self._client.update_run(run_id, status="RUNNING")
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT)
        experiment = self._client.get_experiment_by_name(name)
        experiment_id = experiment.experiment_id if experiment else self._client.create_experiment(name)
        self.run_id = self._client.create_run(experiment_id, run_name=folder.name).info.run_id
        parameters = {key: str(value)[:_LONGEST_MLFLOW_VALUE] for key, value in flat(settings).items()}
        self._client.log_batch(self.run_id, params=[self._entities.Param(*pair) for pair in parameters.items()])

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        # Its names know no @.
        metrics = [self._entities.Metric(k.replace("@", "_at_"), float(v), now, epoch) for k, v in values.items()]
        self._client.log_batch(self.run_id, metrics=metrics)

    def finish(self, succeeded: bool) -> None:
        self._client.set_terminated(self.run_id, "FINISHED" if succeeded else "FAILED")


class _WandB:
    """A run of the project `WANDB_PROJECT`, with wandb's own files in the run folder; `WANDB_MODE=offline` works."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], run_id: str | None) -> None:
        os.environ.setdefault("WANDB_SILENT", "true")  # what the run says is on the screen already
        wandb = importlib.import_module("wandb")
        self.run_id = run_id or uuid.uuid4().hex[:8]
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            name=folder.name,
            id=self.run_id,
            resume="allow",
            dir=str(folder),
            config=dict(settings),
        )
        self._run.define_metric("*", step_metric="epoch")

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        self._run.log({**values, "epoch": epoch})

    def finish(self, succeeded: bool) -> None:
        self._run.finish(exit_code=0 if succeeded else 1)


_TRACKERS: dict[TrackerName, Callable[[Path, Mapping[str, Any], str | None], Tracker]] = {
    "mlflow": _MLflow,
    "wandb": _WandB,
}


def _read_ids(folder: Path) -> dict[str, str]:
    try:
        return dict(json.loads((folder / RUN_IDS).read_text()))
    except (FileNotFoundError, ValueError):
        return {}
