"""The folder of one run: what was asked, what happened, what came out. Only rank 0 writes here, checkpoints apart."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from dualgnn_dist.base.config import flat
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.files import write_atomically
from dualgnn_dist.training.telemetry import Listener, Reading, metric_of

CONFIG, HISTORY, METRICS, CHECKPOINTS = "config.yaml", "history.jsonl", "metrics.json", "checkpoints"
REPRESENTATIONS = "representations"

# What a run computes; how long and on how many workers it does so may change when it is resumed.
_SAME_SECTIONS = ("model", "sampler", "optimizer", "evaluation")
_SAME_KEYS = ("data.modalities", "data.drop_modality", "train.metric", "train.precision", "run.seed")
_FREE_KEYS = ("sampler.threads", "sampler.prefetch")


_SAID_OTHERWISE = ("step", "interactions", "waiting_seconds")  # by the axis, and by rates


class RunFolder(Listener):
    """Paths and appenders of `<output>/<name>/`.

    Args:
        active: whether this process writes; on the others every call does nothing.
    """

    def __init__(self, path: Path, active: bool) -> None:
        self.path = path
        self._active = active
        self._board: SummaryWriter | None = None  # made by the first record: a file without any would show as a run

    @staticmethod
    def check(path: Path, config_yaml: str, resume: bool) -> None:
        """Refuses what `create` would refuse, before time goes into the data; changes nothing.

        Raises:
            UserError: the run exists and `resume` is not set; it is to be resumed and does not exist, or was started
                with settings that compute something else.
        """
        if not resume and path.exists():
            raise UserError(
                f"the run {path} exists; continue it with --resume, or choose another name with run.name=..."
            )
        if resume:
            if not (path / CONFIG).exists():
                raise UserError(f"there is no run to resume at {path}; leave out --resume to start it")
            _refuse_another_run(path, yaml.safe_load((path / CONFIG).read_text()), yaml.safe_load(config_yaml))

    @staticmethod
    def create(path: Path, config_yaml: str, resume: bool) -> None:
        """Makes the folder, or takes an existing one if the run is to be resumed; it holds `config_yaml` then.

        Raises:
            UserError: as `check`, or the folder cannot be made there.
        """
        RunFolder.check(path, config_yaml, resume)
        try:
            path.mkdir(parents=True, exist_ok=resume)
            write_atomically(path / CONFIG, config_yaml)
        except OSError as error:
            raise UserError(
                f"the run folder {path} cannot be written ({error.strerror}); choose another place with run.output=..."
            ) from error

    @staticmethod
    def remove_unless_started(path: Path) -> None:
        """Deletes the folder of a run that failed before its first epoch or checkpoint, so that its name is free."""
        if not (path / HISTORY).exists() and not (path / CHECKPOINTS).exists():
            shutil.rmtree(path, ignore_errors=True)

    @property
    def checkpoints(self) -> Path:
        """The folder of the run's checkpoints."""
        return self.path / CHECKPOINTS

    def log(self, record: Mapping[str, Any]) -> None:
        """Appends one line to the history and its numbers to TensorBoard, at the record's `epoch`."""
        if not self._active:
            return
        with (self.path / HISTORY).open("a") as file:
            file.write(json.dumps(record) + "\n")
        self._board = self._board or SummaryWriter(str(self.path / "tensorboard"))
        for name, value in record.items():
            values = (
                {f"{name}/{key}": item for key, item in value.items()} if isinstance(value, Mapping) else {name: value}
            )
            for tag, number in values.items():
                if tag != "epoch" and isinstance(number, (int, float)):
                    self._board.add_scalar(tag, number, record["epoch"])
        self._board.flush()

    def hear(self, reading: Reading) -> None:
        """Writes a reading to TensorBoard, at its step: `<group>/<name>`; of counters what a step adds, on average."""
        if not self._active:
            return
        means = {name: sum(values) / len(values) for name, values in reading.observations.items()}
        means |= {name: count / reading.num_steps for name, count in reading.counts.items()}
        self._board = self._board or SummaryWriter(str(self.path / "tensorboard"))
        for name, value in {**reading.gauges, **means}.items():
            if name not in _SAID_OTHERWISE:
                self._board.add_scalar(f"{metric_of(name)[0].group}/{name}", value, reading.step)
        self._board.flush()

    def forget_after(self, epoch: int) -> None:
        """Drops history lines of epochs after `epoch`, which a resumed run makes anew."""
        path = self.path / HISTORY
        if self._active and path.exists():
            lines = [line for line in path.read_text().splitlines() if _epoch_of(line) <= epoch]
            write_atomically(path, "".join(line + "\n" for line in lines))

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Writes `metrics.json`, the last thing a finished run does; TensorBoard gets settings and test metrics."""
        if self._active:
            self._log_settings(metrics.get("test", {}))
            write_atomically(self.path / METRICS, json.dumps(metrics, indent=1) + "\n")

    def _log_settings(self, test: Mapping[str, float]) -> None:
        if not (self.path / CONFIG).exists():
            return
        settings = flat(yaml.safe_load((self.path / CONFIG).read_text()))
        shown = {key: value if isinstance(value, (bool, int, float)) else str(value) for key, value in settings.items()}
        results = {f"test/{name}": value for name, value in test.items()}
        board = self._board = self._board or SummaryWriter(str(self.path / "tensorboard"))
        assert board.file_writer is not None
        for summary in hparams(shown, results):  # `add_hparams` would begin a file of its own
            board.file_writer.add_summary(summary)
        for name, value in results.items():
            board.add_scalar(name, value)

    def close(self) -> None:
        """Ends the TensorBoard file."""
        if self._board is not None:
            self._board.close()
            self._board = None


def _epoch_of(line: str) -> float:
    try:
        return json.loads(line)["epoch"]
    except ValueError:  # the line during which the run was killed
        return math.inf


def _refuse_another_run(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    keys = [*(f"{section}.{key}" for section in _SAME_SECTIONS for key in now.get(section, {})), *_SAME_KEYS]
    for dotted in keys:
        section, _, key = dotted.partition(".")
        was, is_now = before.get(section, {}).get(key), now.get(section, {}).get(key)
        if was != is_now and dotted not in _FREE_KEYS:
            raise UserError(
                f"the run {path} was started with {dotted}={was!r}, the config says {is_now!r}; resume it as it was, "
                "or start another run with run.name=..."
            )
