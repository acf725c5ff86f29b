"""What a run has written of itself so far, finished or not, each file checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from dualgnn_dist.base.config import convert, from_mapping
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.results.finished_run import FinishedRun, read_run
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.load import load
from dualgnn_dist.training.run_folder import CONFIG, HISTORY, METRICS

Record = Mapping[str, float]


@dataclass(frozen=True)
class Summary:
    """What `metrics.json` says beside the metrics.

    Args:
        seconds: by stage; `waiting` is a part of `training`, `total` of the last start of the run alone.
        peak_memory_bytes: one a worker.
        epochs: trained.
    """

    seconds: dict[str, float]
    peak_memory_bytes: tuple[int, ...]
    best_epoch: int
    epochs: int
    versions: dict[str, str]


@dataclass(frozen=True)
class RunFiles:
    """A run's folder.

    Args:
        config_text: the config's file, as it is.
        training, validation: epoch -> name -> value, ascending; empty before the first epoch.
        finished, summary: None for a run that has no metrics yet.
        written: when the newest of these files was written.
    """

    folder: Path
    config: RunConfig
    config_text: str
    training: Mapping[int, Record]
    validation: Mapping[int, Record]
    finished: FinishedRun | None
    summary: Summary | None
    written: datetime

    @property
    def best_epoch(self) -> int | None:
        """The epoch with the best validation metric so far; the first of equals, as in training."""
        if self.summary is not None:
            return self.summary.best_epoch
        metric = self.config.train.metric
        known = {epoch: record[metric] for epoch, record in self.validation.items() if metric in record}
        return max(known, key=lambda epoch: known[epoch], default=None)


def read_files(folder: Path) -> RunFiles:
    """Reads a run's folder.

    Raises:
        UserError: it is none, or one of its files is damaged.
    """
    if not (folder / CONFIG).is_file():
        found = f"it has no {CONFIG}" if folder.is_dir() else "there is no such folder"
        raise UserError(f"{folder} is not the folder of a run: {found}; give a folder that `train` named")
    is_finished = (folder / METRICS).is_file()
    finished = read_run(folder) if is_finished else None
    training, validation = _read_history(folder / HISTORY)
    newest = max(path.stat().st_mtime for name in (CONFIG, HISTORY, METRICS) if (path := folder / name).is_file())
    return RunFiles(
        folder=folder,
        config=load(folder / CONFIG) if finished is None else finished.config,
        config_text=(folder / CONFIG).read_text(),
        training=training,
        validation=validation,
        finished=finished,
        summary=_read_summary(folder / METRICS) if is_finished else None,
        written=datetime.fromtimestamp(newest),
    )


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file with one a line, numbered from 1. A last line that is still being written is left out.

    Raises:
        UserError: a line is no JSON object.
    """
    try:
        lines = path.read_text().splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}); delete it to do without") from error
    for place, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            if place == len(lines) and not line.endswith("\n"):
                return
            raise UserError(f"{path}, line {place}, is damaged ({error}); delete the line") from error
        if not isinstance(values, dict):
            raise UserError(f"{path}, line {place}, holds {type(values).__name__}, not a mapping; delete the line")
        yield place, values


def _read_history(path: Path) -> tuple[dict[int, Record], dict[int, Record]]:
    training: dict[int, Record] = {}
    validation: dict[int, Record] = {}
    for place, values in json_lines(path) if path.is_file() else ():
        where = f"{path}, line {place}"
        epoch = convert(int, values.get("epoch"), f"{where}: epoch")
        for name, records in (("training", training), ("validation", validation)):
            if name in values:  # an epoch that was trained again after a crash counts as it went last
                records[epoch] = convert(dict[str, float], values[name], f"{where}: {name}")
    return dict(sorted(training.items())), dict(sorted(validation.items()))


def _read_summary(path: Path) -> Summary:
    values = json.loads(path.read_text())  # `read_run` has read it before
    try:
        return from_mapping(Summary, {field.name: values[field.name] for field in fields(Summary)})
    except KeyError as error:
        raise UserError(f"{path} is damaged (it has no {error}); finish the run again with `train --resume`") from error
    except UserError as error:
        raise UserError(f"{path} is damaged ({error}); finish the run again with `train --resume`") from error
