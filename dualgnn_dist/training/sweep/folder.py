"""The folder of one sweep: what was asked, what every trial came to, the winner. One process writes here.

sweep.yaml     the file's sections with their overrides      optuna.db    the study, unless it lies elsewhere
trials.jsonl   a line for each trial that ended              best.yaml    the best trial as a complete run
trials/        a folder a point, in it a run a seed          winner.json  its test metrics
sweep.id       by which the study knows this sweep           ray/         what Ray keeps of each start
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from dualgnn_dist.base.config import convert, plain
from dualgnn_dist.base.errors import Failed, UserError
from dualgnn_dist.base.storage.files import write_atomically
from dualgnn_dist.base.storage.removal import files_below, remove_files
from dualgnn_dist.training import checkpoint
from dualgnn_dist.training.config import NUMBERS, decided
from dualgnn_dist.training.load import from_values, read_yaml
from dualgnn_dist.training.run_folder import CHECKPOINTS
from dualgnn_dist.training.sweep.space import Sweep, identity

SWEEP, TRIALS, BEST, WINNER, STUDY = "sweep.yaml", "trials.jsonl", "best.yaml", "winner.json", "optuna.db"
ID, RAY, RUNS, ERROR = "sweep.id", "ray", "trials", "error.txt"

_FILES = (SWEEP, ID, TRIALS, BEST, WINNER, STUDY, f"{STUDY}-journal", "importance.png", "parallel.png")


class Unaccounted(Failed):
    """A sweep that ended without all that was asked for: what is missing, why, how to go on. Exit code 1."""


@dataclass(frozen=True)
class Trial:
    """One that ended.

    Args:
        number: in the study.
        value: the best validation metric of its runs, their mean; None where none was measured.
        epochs: of its first run.
        error: why it failed.
        seed_values: the best validation metric of each of its runs.
    """

    number: int
    params: dict[str, Any]
    state: Literal["complete", "stopped", "failed"]
    value: float | None
    epochs: int
    seconds: float
    error: str | None
    seed_values: tuple[float, ...]


class SweepFolder:
    """Its paths and records."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(self, sweep: Sweep, resume: bool) -> list[Trial]:
        """Makes the folder, or takes over one of the same search; returns the trials that have ended.

        Who calls it is alone in the folder. An empty one that lies there already counts as none.

        Raises:
            UserError: it exists and is not to be resumed, there is none to resume, it searches something else, or it
                cannot be written.
        """
        if not resume and self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise UserError(f"the sweep {self.path} exists; go on with --resume, or name another with sweep.name=...")
        if resume and not (self.path / SWEEP).exists():
            raise UserError(f"there is no sweep to resume at {self.path}; leave out --resume to start it")
        asked = {**sweep.values, "sweep": plain(sweep.config), "search": plain(dict(sweep.space))}
        if resume:
            _refuse_another(self.path, _read_sweep(self.path / SWEEP), sweep)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if not (self.path / ID).exists():  # older sweeps have none
                write_atomically(self.path / ID, uuid.uuid4().hex + "\n")
            write_atomically(self.path / SWEEP, yaml.safe_dump(asked, sort_keys=False))
        except OSError as error:
            raise UserError(
                f"the sweep's folder {self.path} cannot be written ({error.strerror}); choose another place with "
                "run.output=..."
            ) from error
        return self.trials()

    @property
    def id(self) -> str:
        """By which a study in a shared database knows whose it is, wherever the folder is moved."""
        return (self.path / ID).read_text().strip()

    def trials(self) -> list[Trial]:
        """Those that have ended, one a number; a line that was cut off when the sweep was killed does not count."""
        return list({trial.number: trial for trial in self.read_trials()[0]}.values())

    def read_trials(self) -> tuple[list[Trial], int]:
        """The same, and how many lines hold no trial.

        Raises:
            UserError: the file cannot be read.
        """
        path = self.path / TRIALS
        try:
            text = path.read_text(errors="replace") if path.exists() else ""
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error})") from error
        lines = [line for line in text.splitlines() if line.strip()]
        trials = [trial for trial in map(_read, lines) if trial is not None]
        return trials, len(lines) - len(trials)

    def append(self, trial: Trial) -> None:
        """Records one that ended: a whole line, on the disk when this returns. What was cut off before stays a line.

        Raises:
            UserError: it cannot be written, such as on a full disk.
        """
        line = json.dumps(asdict(trial), allow_nan=False).encode() + b"\n"
        try:
            with (self.path / TRIALS).open("a+b", buffering=0) as file:
                if file.seek(0, os.SEEK_END) > 0:
                    file.seek(-1, os.SEEK_END)
                    line = line if file.read(1) == b"\n" else b"\n" + line
                if file.write(line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
        except OSError as error:
            raise UserError(f"{self.path / TRIALS} cannot be written ({error.strerror})") from error

    def keep_error(self, params: Mapping[str, Any], text: str) -> Path:
        """Writes down the whole story of a failure; returns where."""
        path = self.run_folder(params) / ERROR
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode(errors="replace"))
        return path

    def run_folder(self, params: Mapping[str, Any]) -> Path:
        """Of the runs of one point."""
        return self.path / RUNS / identity(params)

    def drop_checkpoints(self, params: Mapping[str, Any]) -> None:
        """Of a trial that will not win; its curves stay."""
        for state in self.run_folder(params).glob(f"*/{CHECKPOINTS}/*"):
            checkpoint.remove(state)

    def remove(self) -> None:
        """Deletes what a sweep writes; what else lies in the folder stays, and with it the folder."""
        names = [name for name in files_below(self.path) if name in _FILES or name.startswith((f"{RAY}/", f"{RUNS}/"))]
        remove_files(self.path, sorted(names, key=lambda name: name != SWEEP))
        empty = sorted([*(self.path / RAY).rglob("*/"), *(self.path / RUNS).rglob("*/")], reverse=True)
        for folder in [*empty, self.path / RAY, self.path / RUNS, self.path]:
            with contextlib.suppress(OSError):  # it holds something, or is gone
                folder.rmdir()

    def write(self, name: str, text: str) -> None:
        """Writes a file at once or not at all."""
        write_atomically(self.path / name, text)


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The highest value of those that may win; the first of equals."""
    return max(may_win(trials), key=lambda trial: trial.value or 0.0, default=None)


def may_win(trials: Sequence[Trial]) -> list[Trial]:
    """Those that ran to their end and were measured; where there are none, those that were stopped early."""
    measured = [trial for trial in trials if trial.value is not None and trial.state != "failed"]
    return [trial for trial in measured if trial.state == "complete"] or measured


def _read(line: str) -> Trial | None:
    try:
        return convert(Trial, json.loads(line), "trial")
    except (ValueError, RecursionError):  # cut off, or another program's; UserError is a ValueError too
        return None


def _read_sweep(path: Path) -> Mapping[str, Any]:
    values = read_yaml(path)
    if not all(isinstance(values.get(name), Mapping) for name in ("model", "search")):
        raise UserError(f"{path} is damaged: it has no sections model and search; start another with sweep.name=...")
    return values


def _refuse_another(path: Path, before: Mapping[str, Any], sweep: Sweep) -> None:
    """How many trials there are and where they run may change when a sweep is resumed; what they compute may not."""
    sections = {name: values for name, values in before.items() if name not in ("search", "sweep")}
    was, asks = (decided(config, *NUMBERS, "length") for config in (from_values(sections, ""), sweep.base))
    for key in [*was, *asks]:
        if was.get(key) != asks.get(key):
            raise UserError(
                f"the sweep {path} was started with {key}={was.get(key)!r}, the config says {asks.get(key)!r}; resume "
                "it as it was, or start another with sweep.name=..."
            )
    if before.get("search") != yaml.safe_load(yaml.safe_dump(plain(dict(sweep.space)))):
        raise UserError(
            f"the sweep {path} was started with another search section; resume it as it was, or start another with "
            "sweep.name=..."
        )
