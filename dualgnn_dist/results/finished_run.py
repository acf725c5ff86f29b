"""A finished run read back, from its folder or its URL: config, metrics and vectors, each checked before it is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dualgnn_dist.base.config import convert
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.storage.remote import is_url
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.schema import checksum
from dualgnn_dist.evaluation import representations
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.load import load
from dualgnn_dist.training.run_at_url import fetch
from dualgnn_dist.training.run_folder import CONFIG, METRICS, REPRESENTATIONS

Metrics = Mapping[str, float]


class NotOfThisRun(UserError):
    """Vectors that are not those of the run in whose folder they lie: nothing may be computed from them."""


@dataclass(frozen=True)
class FinishedRun:
    """What a run's folder says of it.

    Args:
        folder: on this node; of a run at a URL, its copy in the cache.
        fingerprint: of the store that it was trained on.
        num_workers: those that wrote the representations, a file each; 1 for a run in one process.
        metrics: split -> candidates -> metric -> value; the first candidates are those that the run is judged by.
        best_epoch: the one whose state was ranked.
        epochs: how many were trained.
        seconds: by stage; `waiting` is a part of `training`, `total` of the last start of the run alone.
        peak_memory_bytes: one a worker.
        versions: of the programs that ran, by name.
        run_id: of the run; empty for one of before runs had ids.
        files: the checksum of each file of vectors by its name; empty for a run of before they were written down.
        baselines: name -> test metrics of what needs no training, for the candidates that the run is judged by; empty
            for a run of before they were measured.
        beyond: `coverage@20` and more of the test lists, see `evaluation.beyond`; empty likewise.
    """

    folder: Path
    config: RunConfig
    fingerprint: str
    num_workers: int
    metrics: Mapping[str, Mapping[str, Metrics]]
    best_epoch: int
    epochs: int
    seconds: Mapping[str, float]
    peak_memory_bytes: tuple[int, ...]
    versions: Mapping[str, str]
    run_id: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    baselines: Mapping[str, Metrics] = field(default_factory=dict)
    beyond: Metrics = field(default_factory=dict)

    @classmethod
    def read(cls, place: str | Path) -> FinishedRun:
        """Reads what a run's folder or URL says of it, but for the vectors; what lies at a URL is fetched first.

        Raises:
            UserError: no folder of a run, an unfinished run, or a damaged file.
        """
        folder, config = locate(place)
        if not (folder / METRICS).is_file():
            raise UserError(f"{folder} is no finished run: it has no {METRICS}; finish it with `train --resume`")
        return cls.of(folder, config)

    @classmethod
    def of(cls, folder: Path, config: RunConfig) -> FinishedRun:
        """The same for a folder that `locate` gave, in which there are metrics."""
        path = folder / METRICS
        try:
            values = json.loads(path.read_text())
            test = values.get("test_by_candidates") or {"all": values["test"]}
            metrics = {"test": test, "valid": {next(iter(test)): values["validation"]}}
            return cls(
                folder,
                config,
                convert(str, values["store"]["fingerprint"], "store.fingerprint"),
                convert(int, values["num_workers"], "num_workers"),
                convert(dict[str, dict[str, dict[str, float]]], metrics, ""),
                convert(int, values["best_epoch"], "best_epoch"),
                convert(int, values["epochs"], "epochs"),
                convert(dict[str, float], values["seconds"], "seconds"),
                convert(tuple[int, ...], values["peak_memory_bytes"], "peak_memory_bytes"),
                convert(dict[str, str], values["versions"], "versions"),
                convert(str, values.get("run", ""), "run"),
                convert(dict[str, str], values.get("representations", {}), "representations"),
                convert(dict[str, dict[str, float]], values.get("baselines", {}), "baselines"),
                convert(dict[str, float], values.get("beyond", {}), "beyond"),
            )
        except KeyError as error:
            raise _damaged(path, f"it has no {error}") from error
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise _damaged(path, str(error)) from error

    def open_store(self) -> Store:
        """The store of the run; what lies behind a URL is copied to this node first.

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

    def learned(self, store: Store) -> Learned:
        """The vectors of all users and items of the run's `store`, read into memory.

        Raises:
            UserError: a file is missing or damaged, or the files do not hold every user and item once.
            NotOfThisRun: a file is not the one that the run wrote.
        """
        folder, sizes = self.folder / REPRESENTATIONS, store.manifest
        if not folder.is_dir():
            raise UserError(
                f"{self.folder} has no folder {REPRESENTATIONS}; finish the run again with `train --resume`"
            )
        num_files = sum(1 for _ in folder.glob("users-*.arrow"))
        if not 1 <= self.num_workers <= num_files:
            raise _damaged(folder, f"{METRICS} tells of {self.num_workers} workers, and {num_files} files hold users")
        # A run that was finished twice, on other numbers of workers, has the files of both.
        names = [representations.users_file(rank, self.num_workers) for rank in range(self.num_workers)]
        if self.files:
            for name in [*names, representations.ITEMS_FILE]:
                self._check(folder / name)
        parts = [_read_vectors(folder / name) for name in names]
        items = _read_vectors(folder / representations.ITEMS_FILE)
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
            raise UserError(
                f"{folder} holds numbers that are not finite: the run diverged; train it again, more slowly"
            )
        return Learned(users, np.array(items.vectors), columns, is_checked=bool(self.files))

    def _check(self, path: Path) -> None:
        """Compares a file of vectors with what the run wrote."""
        try:
            if checksum(path) == self.files.get(path.name):
                return
        except OSError as error:
            raise _unreadable(path, error) from error
        try:
            author = representations.identity_of(path).get("run", self.run_id)
        except (OSError, ValueError) as error:
            raise _damaged(path, str(error)) from error
        if author != self.run_id:
            raise NotOfThisRun(
                f"{path} holds the vectors of another run (its id is {author}, that of {self.folder} {self.run_id}); "
                "finish the run again with `train --resume`"
            )
        raise NotOfThisRun(
            f"{path} is damaged: its checksum is another than when the run was finished; finish the run again with "
            "`train --resume`"
        )


@dataclass(frozen=True)
class Learned:
    """A run's representations in memory.

    Args:
        users: float32 [U, d].
        items: float32 [I, d].
        columns: what else was written of every user, by name, float32 [U].
        is_checked: whether the files are known to be those that the run wrote.
    """

    users: np.ndarray
    items: np.ndarray
    columns: dict[str, np.ndarray]
    is_checked: bool = False


def locate(place: str | Path) -> tuple[Path, RunConfig]:
    """The folder of a run, finished or not, and its config; a run at a URL is fetched into this node's cache.

    Raises:
        UserError: there is no run, or its config is damaged.
    """
    folder = fetch(str(place))
    if not (folder / CONFIG).is_file():
        reason = f"it has no {CONFIG}" if folder.is_dir() else "there is no such folder"
        raise UserError(f"{folder} is not the folder of a run: {reason}; give the folder or the URL that `train` named")
    try:
        return folder, load(folder / CONFIG)
    except UserError as error:
        raise UserError(f"{folder / CONFIG} cannot be used: {error}") from error


def output_of(place: str, folder: Path, name: str) -> Path:
    """Where a verb writes what it makes of a run if nobody says where: into the run's folder.

    Of a run at a URL that is a copy, which the next verb fetches anew: the working directory then.
    """
    return Path.cwd() / f"{folder.name}_{name}" if is_url(place) else folder / name


def _read_vectors(path: Path) -> representations.Exported:
    try:
        return representations.read(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, KeyError, AttributeError) as error:
        raise _damaged(path, str(error)) from error


def _unreadable(path: Path, error: OSError) -> UserError:
    if isinstance(error, FileNotFoundError):
        return UserError(f"{path} is missing; finish the run again with `train --resume`")
    return _damaged(path, str(error))


def _damaged(path: Path, why: Any) -> UserError:
    return UserError(f"{path} is damaged ({why}); finish the run again with `train --resume`")
