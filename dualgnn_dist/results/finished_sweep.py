"""What a sweep has written of itself so far, running, killed or ended, each file checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dualgnn_dist.base.config import convert
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.storage.names import inside
from dualgnn_dist.base.storage.remote import is_url
from dualgnn_dist.training.config import TrainConfig
from dualgnn_dist.training.load import read_yaml
from dualgnn_dist.training.sweep.folder import BEST, SWEEP, TRIALS, WINNER, SweepFolder, Trial
from dualgnn_dist.training.sweep.study_url import without_password

_PNG = b"\x89PNG\r\n\x1a\n"
_PICTURES = {"importance.png": "importance of the parameters", "parallel.png": "parallel coordinates of the trials"}
_LARGEST_PICTURE = 4 << 20  # bytes


@dataclass(frozen=True)
class Winner:
    """The best trial, measured on the test items.

    Args:
        validation, test: metric -> value.
        run_folder: of its first run.
    """

    number: int
    validation: dict[str, float]
    test: dict[str, float]
    run_folder: Path


@dataclass(frozen=True)
class SweepRecord:
    """What a sweep's folder says of it.

    Args:
        text: of `sweep.yaml`.
        metric: of the validation split, by which trials are compared.
        planned: trials that were asked for; None where the file does not say.
        keys: the dotted keys that are searched.
        num_damaged: lines of the trials' file that cannot be read, such as one cut off by a kill.
        best_config: the best trial as a complete run, as text; None before the end.
        winner: None before the test items were ranked.
        pictures: what they show -> PNG.
        written: when the newest of these files was written.
    """

    folder: Path
    text: str
    metric: str
    planned: int | None
    keys: tuple[str, ...]
    trials: tuple[Trial, ...]
    num_damaged: int
    best_config: str | None
    winner: Winner | None
    pictures: Mapping[str, bytes]
    written: datetime

    @classmethod
    def read(cls, place: str | Path) -> SweepRecord:
        """Reads a sweep's folder; all but `sweep.yaml` may be missing.

        Raises:
            UserError: it is none, or one of its files is damaged.
        """
        if is_url(str(place)):
            raise UserError(f"{place} is a URL, and a sweep lies in a folder: give the folder that `tune` named")
        folder = Path(place).absolute()
        if not (folder / SWEEP).is_file():
            reason = f"it has no {SWEEP}" if folder.is_dir() else "there is no such folder"
            raise UserError(f"{folder} is not the folder of a sweep: {reason}; give a folder that `tune` named")
        values = read_yaml(folder / SWEEP)
        train, sweep, search = (_section(values, name, folder) for name in ("train", "sweep", "search"))
        trials, num_damaged = _read_trials(folder)
        keys = dict.fromkeys([*map(str, search), *(key for trial in trials for key in trial.params)])
        present = [path for name in (SWEEP, TRIALS, BEST, WINNER) if (path := folder / name).is_file()]
        return cls(
            folder=folder,
            text=without_password((folder / SWEEP).read_text()),
            metric=str(train.get("metric", TrainConfig.metric)),
            planned=sweep["trials"] if isinstance(sweep.get("trials"), int) else None,
            keys=tuple(keys),
            trials=tuple(trials),
            num_damaged=num_damaged,
            best_config=_text(folder / BEST) if (folder / BEST).is_file() else None,
            winner=_read_winner(folder / WINNER) if (folder / WINNER).is_file() else None,
            pictures={shown: png for name, shown in _PICTURES.items() if (png := _picture(folder / name))},
            written=datetime.fromtimestamp(max(path.stat().st_mtime for path in present)),
        )


def _section(values: Mapping[str, Any], name: str, folder: Path) -> Mapping[str, Any]:
    section = values.get(name) or {}
    if not isinstance(section, Mapping):
        raise UserError(f"{folder / SWEEP} is damaged: its section {name!r} must be a mapping, not {section!r}")
    return section


def _read_trials(folder: Path) -> tuple[list[Trial], int]:
    """The trials by number, and how many lines hold none. One that was tried again counts as it went last."""
    trials, num_damaged = SweepFolder(folder).read_trials()
    if num_damaged and not trials:
        raise UserError(
            f"{folder / TRIALS} is damaged: none of its {num_damaged} lines holds a trial; run the sweep again"
        )
    by_number = {trial.number: trial for trial in trials}
    return [by_number[number] for number in sorted(by_number)], num_damaged


def _read_winner(path: Path) -> Winner:
    try:
        values = json.loads(_text(path))
        return Winner(
            number=convert(int, values["number"], "number"),
            validation=convert(dict[str, float], values["validation"], "validation"),
            test=convert(dict[str, float], values["test"], "test"),
            run_folder=inside(path.parent, convert(str, values["run_folder"], "run_folder")),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(f"{path} is damaged ({why}); go on with the sweep: `tune --resume` writes it again") from error


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error})") from error


def _picture(path: Path) -> bytes | None:
    """A picture is an extra: one that is missing, half-written or huge is left out."""
    if not path.is_file() or path.stat().st_size > _LARGEST_PICTURE:
        return None
    content = path.read_bytes()
    return content if content.startswith(_PNG) else None
