"""What a run has written of itself so far, finished or still training, each file checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dualgnn_dist.base.config import convert
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.results.finished_run import FinishedRun, Metrics, locate
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.run_folder import CONFIG, HISTORY, METRICS


@dataclass(frozen=True)
class RunRecord:
    """A run and its history.

    Args:
        folder: on this node; of a run at a URL, its copy in the cache.
        config_text: the config's file, as it is.
        training, validation: epoch -> name -> value, ascending; empty before the first epoch.
        finished: what came out; None for a run that has no metrics yet.
        written: when the newest of these files was written.
    """

    folder: Path
    config: RunConfig
    config_text: str
    training: Mapping[int, Metrics]
    validation: Mapping[int, Metrics]
    finished: FinishedRun | None
    written: datetime

    @classmethod
    def read(cls, place: str | Path) -> RunRecord:
        """Reads a run's folder, or what lies at its URL.

        Raises:
            UserError: it is no run, or one of its files is damaged.
        """
        folder, config = locate(place)
        training, validation = _read_history(folder / HISTORY)
        present = [path for name in (CONFIG, HISTORY, METRICS) if (path := folder / name).is_file()]
        return cls(
            folder=folder,
            config=config,
            config_text=(folder / CONFIG).read_text(),
            training=training,
            validation=validation,
            finished=FinishedRun.of(folder, config) if (folder / METRICS).is_file() else None,
            written=datetime.fromtimestamp(max(path.stat().st_mtime for path in present)),
        )

    @property
    def best_epoch(self) -> int | None:
        """The epoch with the best validation metric so far; the first of equals, as in training."""
        if self.finished is not None:
            return self.finished.best_epoch
        metric = self.config.train.metric
        by_epoch = {epoch: values[metric] for epoch, values in self.validation.items() if metric in values}
        return max(by_epoch, key=lambda epoch: by_epoch[epoch], default=None)

    def open_store(self) -> Store:
        """The store of the run; that of a finished run must be the one it was trained on.

        Raises:
            UserError: it is not there, or was made again with other content since the run was finished.
        """
        return Store.open(self.config.data.folder()) if self.finished is None else self.finished.open_store()


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file with one a line, numbered from 1. A last line that is still being written is left out.

    Raises:
        UserError: a line is no JSON object.
    """
    try:
        lines = path.read_text().splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}); delete it to do without") from error
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == len(lines) and not line.endswith("\n"):
                return
            raise UserError(f"{path}, line {number}, is damaged ({error}); delete the line") from error
        if not isinstance(values, dict):
            raise UserError(f"{path}, line {number}, holds {type(values).__name__}, not a mapping; delete the line")
        yield number, values


def _read_history(path: Path) -> tuple[dict[int, Metrics], dict[int, Metrics]]:
    training: dict[int, Metrics] = {}
    validation: dict[int, Metrics] = {}
    for number, values in json_lines(path) if path.is_file() else ():
        where = f"{path}, line {number}"
        epoch = convert(int, values.get("epoch"), f"{where}: epoch")
        for name, by_epoch in (("training", training), ("validation", validation)):
            if name in values:  # an epoch that was trained again after a crash counts as it went last
                by_epoch[epoch] = convert(dict[str, float], values[name], f"{where}: {name}")
    return dict(sorted(training.items())), dict(sorted(validation.items()))
