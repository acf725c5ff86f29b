"""Which checkpoint of a finished run is ranked again: its best, or one that is named."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from dualgnn_dist.base.errors import UserError, nearest
from dualgnn_dist.base.screen import Say
from dualgnn_dist.results.finished_run import FinishedRun
from dualgnn_dist.training import checkpoint
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.progress import Progress
from dualgnn_dist.training.run import Run
from dualgnn_dist.training.state import author


@dataclass(frozen=True)
class Chosen:
    """A checkpoint's folder, the epochs that it was trained, and whether the run's metrics are those of it."""

    folder: Path
    epoch: int
    is_best: bool


def choose(run: FinishedRun, config: RunConfig, name: str | None, say: Say) -> Chosen:
    """The run's best checkpoint, or the one that is named or lies at a path.

    What every worker would refuse is refused here: under Ray that takes a minute and ends in tracebacks.

    Args:
        say: hears what is not sure of it.

    Raises:
        UserError: there is no such checkpoint, it is damaged, or of another model or store.
    """
    place = Run(dataclasses.replace(config.run))
    best = place.checkpoint(run.best_epoch)
    folder = best if name is None else _named(place, name)
    if name is None and not checkpoint.exists(folder):
        folder = place.best()
    manifest = checkpoint.describe(folder)
    wanted = author(config, config.data.open())
    checkpoint.check_written_by(folder, {key: wanted[key] for key in ("model", "store")})
    id_of_author = manifest.written_by.get("run", run.run_id)
    if manifest.format_version == checkpoint.UNCHECKED_VERSION:
        say(f"{folder} is of an older version and has no checksums: it cannot be checked")
    if run.run_id and id_of_author != run.run_id:
        if name is None:
            raise UserError(
                f"{folder} is a checkpoint of another run (its id is {id_of_author}, that of {run.folder} is "
                f"{run.run_id}); choose one with --checkpoint"
            )
        say(f"{folder} is a checkpoint of another run: its id is {id_of_author}")
    try:
        epoch = Progress.of(manifest.progress).epoch
    except ValueError as error:
        raise UserError(f"{folder} is damaged ({error}); take another checkpoint") from error
    return Chosen(folder, epoch, folder.resolve() == best.resolve())


def _named(place: Run, name: str) -> Path:
    folder = place.checkpoints_folder / name
    if "/" not in name and folder.is_dir():
        return folder
    if Path(name).is_dir():
        return Path(name).absolute()
    names = [path.name for path in place.checkpoints()]
    raise UserError(f"{place.folder} has no checkpoint {name!r}, nor is it a folder{nearest(name, names)}")
