"""The folder of one run: what was asked, what happened, what came out. Only rank 0 writes here, checkpoints apart."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from dualgnn_dist.strict import UserError

CONFIG, HISTORY, METRICS, CHECKPOINTS = "config.yaml", "history.jsonl", "metrics.json", "checkpoints"
REPRESENTATIONS = "representations"


class RunFolder:
    """Paths and appenders of `<output>/<name>/`.

    Args:
        active: whether this process writes; on the others every call does nothing.
    """

    def __init__(self, path: Path, active: bool) -> None:
        self.path = path
        self._active = active
        self._board: SummaryWriter | None = None  # made by the first record: a file without any would show as a run

    @staticmethod
    def create(path: Path, config_yaml: str, resume: bool) -> None:
        """Makes the folder, or takes an existing one if the run is to be resumed.

        Raises:
            UserError: the run exists and `resume` is not set, or it is to be resumed and does not exist.
        """
        if resume:
            if not (path / CONFIG).exists():
                raise UserError(f"there is no run to resume at {path}; leave out --resume to start it")
            return
        if path.exists():
            raise UserError(
                f"the run {path} exists; continue it with --resume, or choose another name with run.name=..."
            )
        path.mkdir(parents=True)
        write_atomically(path / CONFIG, config_yaml)

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

    def forget_after(self, epoch: int) -> None:
        """Drops history lines of epochs after `epoch`, which a resumed run makes anew."""
        path = self.path / HISTORY
        if self._active and path.exists():
            lines = [line for line in path.read_text().splitlines() if json.loads(line)["epoch"] <= epoch]
            write_atomically(path, "".join(line + "\n" for line in lines))

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Writes `metrics.json`: the last thing a finished run does."""
        if self._active:
            write_atomically(self.path / METRICS, json.dumps(metrics, indent=1) + "\n")

    def close(self) -> None:
        """Ends the TensorBoard file."""
        if self._board is not None:
            self._board.close()


def write_atomically(path: Path, text: str) -> None:
    """The file holds the old text or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)
