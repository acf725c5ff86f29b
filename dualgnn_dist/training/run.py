"""Where one run lies: its folder, perhaps a copy at a URL, and which checkpoints it has.

Every process that has to do with a run makes a `Run` of its own; nothing is touched before it is asked for. Without a
URL the run is its folder. With one, what lies at the URL is the run, and each node works in a folder of its cache.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import say
from dualgnn_dist.base.storage.files import write_atomically
from dualgnn_dist.base.storage.locks import only_writer
from dualgnn_dist.base.storage.remote import is_url, join
from dualgnn_dist.base.world import World
from dualgnn_dist.training import checkpoint, run_folder
from dualgnn_dist.training.config import RunSection
from dualgnn_dist.training.progress import Progress
from dualgnn_dist.training.run_at_url import RunAtUrl
from dualgnn_dist.training.run_folder import CHECKPOINTS, CONFIG, METRICS, REPRESENTATIONS
from dualgnn_dist.training.state import TrainingState

_PATIENCE = 60.0  # seconds: by then the workers of a start that was killed are gone


class Run:
    """One run's place.

    Every method that may meet a URL raises UserError where the storage refuses or cannot be reached.

    Attributes:
        folder: on this node.
    """

    def __init__(self, section: RunSection) -> None:
        self.folder = section.folder
        url = join(section.output, section.name) if is_url(section.output) else None
        self._at_url = None if url is None else RunAtUrl(url, self.folder)
        self._is_new = False

    @property
    def name_for_people(self) -> str:
        """What every verb takes as `--run`: the URL where there is one, else the folder."""
        return str(self.folder) if self._at_url is None else self._at_url.url

    @property
    def representations(self) -> Path:
        """The folder of the vectors of all users and items."""
        return self.folder / REPRESENTATIONS

    # Who may write

    def only_writer(self) -> AbstractContextManager[None]:
        """Held by the process that starts the run, from before it looks at it until it has ended.

        Raises:
            UserError: another process holds it: which one and since when.
        """
        if self._at_url is not None:
            return self._at_url.only_writer()
        return only_writer(self.folder, "the run", say, hint="choose another place with run.output=...")

    @contextmanager
    def only_trainer(self, world: World) -> Iterator[None]:
        """Held by rank 0: workers outlive for a moment the process that started them, and a new start is at once.

        What those were writing when they ended is deleted. Collective at its beginning.

        Raises:
            UserError: another start's rank 0 is still there after a minute.
        """
        if not world.is_main:
            world.barrier()
            yield
            return
        place = self.folder if self._at_url is None else self._at_url.folder_on_disk or self.folder
        with only_writer(place, "the run", say, role="trainer", patience=_PATIENCE):
            for path in run_folder.clear_cut_off(self.folder):
                say(f"{path}, left half-written by a start that was killed, is deleted")
            world.barrier()
            yield

    # Before it starts

    def is_started(self) -> bool:
        """Whether there is a run to go on with."""
        return (self.folder / CONFIG).exists() if self._at_url is None else self._at_url.is_started()

    def check(self, config_yaml: str, resume: bool) -> None:
        """Refuses a start before time goes into the data; fetches what is to be resumed.

        Raises:
            UserError: the run exists and is not to be resumed, or the other way round, or it was another one.
        """
        if self._at_url is not None:
            self._at_url.check(resume)
        run_folder.check(self.folder, config_yaml, resume)

    def begin(self, config_yaml: str, resume: bool) -> None:
        """Makes the run: its folder, with the config in it, and its name at the URL. One process calls this."""
        run_folder.create(self.folder, config_yaml, resume)
        self._is_new = not resume
        if self._at_url is not None:
            self._at_url.announce()

    def withdraw(self) -> None:
        """Forgets a run that this object began and that failed before its first epoch or checkpoint: its name is free.

        One that was there before stays.
        """
        if not self._is_new:
            return
        run_folder.remove_unless_started(self.folder)
        if self._at_url is not None:
            self._at_url.withdraw_unless_started()

    # Its checkpoints

    def checkpoint(self, epoch: int, step: int = 0) -> Path:
        """The folder of the state after so many epochs, and so many steps of the next."""
        return self.folder / CHECKPOINTS / (f"epoch-{epoch:05d}" + (f"-step-{step:07d}" if step else ""))

    def fetch(self) -> None:
        """Makes this node's folder what the URL holds, with its newest checkpoint and none newer. Any worker may."""
        if self._at_url is not None:
            self._at_url.fetch_newest()

    def newest(self) -> Path | None:
        """The newest complete checkpoint in the folder, or None."""
        # One that was being written when the run was killed may hold half a manifest.
        folders = sorted((self.folder / CHECKPOINTS).glob("epoch-*"))
        whole = [folder for folder in folders if folder.suffix != ".partial" and checkpoint.exists(folder)]
        return whole[-1] if whole else None

    def best(self, progress: Progress | None = None) -> Path:
        """The checkpoint of the best epoch, as `progress` or else the newest one names it; whole on this node.

        Without `progress`, where that checkpoint is gone, the newest one stands for it, and a line says so.

        Raises:
            UserError: the run has no complete checkpoint.
        """
        if progress is not None:
            return self._on_this_node(progress.best_epoch)
        newest = self.newest()
        if newest is None:
            raise UserError(f"the run {self.folder} has no complete checkpoint")
        progress = Progress(**checkpoint.describe(newest)["progress"])
        if self.has_best(progress):
            return self._on_this_node(progress.best_epoch)
        say(f"the checkpoint of the best epoch, {progress.best_epoch}, is gone: {newest} stands for it")
        return newest

    def has_best(self, progress: Progress) -> bool:
        """Whether the checkpoint of the best epoch is there with all its files."""
        try:
            folder = self._on_this_node(progress.best_epoch)
            manifest = checkpoint.describe(folder)
            num_shards, num_tables = int(manifest["num_shards"]), len(manifest["tables"])
        except (UserError, KeyError, TypeError, ValueError):
            return False
        shards = list(folder.glob(f"*-of-{num_shards:05d}.pt"))
        return len(shards) == num_shards * num_tables and (folder / "dense.pt").is_file()

    def _on_this_node(self, epoch: int) -> Path:
        folder = self.checkpoint(epoch)
        if self._at_url is not None:
            self._at_url.fetch_checkpoint(folder)
        return folder

    def save(self, state: TrainingState, progress: Progress, world: World) -> Path:
        """Writes a checkpoint and sends it up; beside it only that of the best epoch stays. Collective."""
        folder, best = self.checkpoint(progress.epoch, progress.step), self.checkpoint(progress.best_epoch)
        state.save(folder, world, dataclasses.asdict(progress))
        if self._at_url is not None:
            self._at_url.push_checkpoint(folder, world, keep=[best.name])
        return folder

    def drop_checkpoints(self, progress: Progress) -> None:
        """Deletes all but the newest and the best. One worker calls this, once the newest one is known everywhere."""
        kept = self.checkpoint(progress.epoch, progress.step), self.checkpoint(progress.best_epoch)
        for folder in (self.folder / CHECKPOINTS).iterdir():
            if folder not in kept and run_folder.is_checkpoint(folder.name):
                checkpoint.remove(folder)

    # When it ends

    def finish(self, metrics: Mapping[str, Any], world: World) -> None:
        """Writes `metrics.json`, the last thing a finished run does, and sends up what came out. Collective."""
        if world.is_main:
            write_atomically(self.folder / METRICS, json.dumps(metrics, indent=1) + "\n")
        if self._at_url is not None:
            self._at_url.push_results(world)

    def fetch_results(self) -> None:
        """What the process that started the run shows of it: the workers may all have been elsewhere."""
        if self._at_url is not None:
            self._at_url.fetch_results()
