"""A finished run's folder read back: config, metrics and vectors, each checked before anything is made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dualgnn_dist.base.config import convert
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation import representations
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.load import load
from dualgnn_dist.training.run_folder import CONFIG, METRICS, REPRESENTATIONS

Metrics = Mapping[str, float]


@dataclass(frozen=True)
class FinishedRun:
    """What a run's folder says of it.

    Args:
        fingerprint: of the store that it was trained on.
        num_workers: those that wrote the representations, a file each.
        metrics: split -> candidates -> metric -> value; the first candidates are those that the run is judged by.
    """

    folder: Path
    config: RunConfig
    fingerprint: str
    num_workers: int
    metrics: Mapping[str, Mapping[str, Metrics]]

    def open_store(self) -> Store:
        """The store of the run.

        Raises:
            UserError: it is not there, or was made again with other content since.
        """
        store = Store.open(self.config.data.folder())
        if store.manifest.fingerprint != self.fingerprint:
            raise UserError(
                f"the store {store.path} is not the one that {self.folder} was trained on (its fingerprint is "
                f"{store.manifest.fingerprint[:8]}, the run's {self.fingerprint[:8]}); train the run again, or make "
                "the store as it was"
            )
        return store


@dataclass(frozen=True)
class Learned:
    """A run's representations in memory.

    Args:
        users: float32 [U, d].
        items: float32 [I, d].
        columns: what else was written of every user, by name, float32 [U].
    """

    users: np.ndarray
    items: np.ndarray
    columns: dict[str, np.ndarray]


def read_run(folder: Path) -> FinishedRun:
    """Reads what a folder says of its run, but for the vectors.

    Raises:
        UserError: no folder of a run, an unfinished run, or a damaged file.
    """
    if not (folder / CONFIG).is_file():
        found = f"it has no {CONFIG}" if folder.is_dir() else "there is no such folder"
        raise UserError(f"{folder} is not the folder of a run: {found}; give the folders that `train` named")
    path = folder / METRICS
    if not path.is_file():
        raise UserError(f"{folder} is no finished run: it has no {METRICS}; finish it with `train --resume`")
    config = load(folder / CONFIG)
    try:
        values = json.loads(path.read_text())
        by_candidates = values.get("test_by_candidates") or {"all": values["test"]}
        first = next(iter(by_candidates))
        metrics = {"test": by_candidates, "valid": {first: values["validation"]}}
        fingerprint, num_workers = values["store"]["fingerprint"], values["num_workers"]
        return FinishedRun(
            folder,
            config,
            convert(str, fingerprint, "store.fingerprint"),
            convert(int, num_workers, "num_workers"),
            convert(dict[str, dict[str, dict[str, float]]], metrics, ""),
        )
    except KeyError as error:
        raise _damaged(path, f"it has no {error}") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise _damaged(path, str(error)) from error


def read_learned(run: FinishedRun, store: Store) -> Learned:
    """Reads the vectors of all users and items.

    Raises:
        UserError: a file is missing or damaged, or the files do not hold every user and item once.
    """
    folder, sizes = run.folder / REPRESENTATIONS, store.manifest
    if not folder.is_dir():
        raise UserError(f"{run.folder} has no folder {REPRESENTATIONS}; finish the run again with `train --resume`")
    # A run that was finished twice, on other numbers of workers, has the files of both.
    names = [representations.users_file(rank, run.num_workers) for rank in range(run.num_workers)]
    parts = [_read_file(folder / name) for name in names]
    items = _read_file(folder / representations.ITEMS_FILE)
    rows = np.concatenate([part.rows for part in parts])
    whole = np.array_equal(np.sort(rows), np.arange(sizes.num_users)) and len(items.rows) == sizes.num_items
    same_width = len({part.vectors.shape[1] for part in [*parts, items]}) == 1
    same_columns = len({tuple(part.columns) for part in parts}) == 1
    if not (whole and same_width and same_columns):
        raise _damaged(folder, "its files do not belong together")
    order = np.argsort(rows)
    users = np.concatenate([part.vectors for part in parts])[order]
    columns = {name: np.concatenate([part.columns[name] for part in parts])[order] for name in parts[0].columns}
    if not all(np.isfinite(values).all() for values in (users, items.vectors, *columns.values())):
        raise UserError(f"{folder} holds numbers that are not finite: the run diverged; train it again, more slowly")
    return Learned(users, np.array(items.vectors), columns)


def _read_file(path: Path) -> representations.Exported:
    try:
        return representations.read(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; finish the run again with `train --resume`") from None
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: Any) -> UserError:
    return UserError(f"{path} is damaged ({why}); finish the run again with `train --resume`")
