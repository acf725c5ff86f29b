"""Where one run lies: its folder, perhaps a copy at a URL, and which checkpoints it has.

Every process that has to do with a run makes a `Run` of its own; nothing is touched before it is asked for. Without a
URL the run is its folder. With one, what lies at the URL is the run, and each node works in a folder of its cache.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import secrets
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

    @property
    def checkpoints_folder(self) -> Path:
        """Where they lie on this node."""
        return self.folder / CHECKPOINTS

    def checkpoint(self, epoch: int, step: int = 0) -> Path:
        """The folder of the state after so many epochs, and so many steps of the next."""
        return self.checkpoints_folder / checkpoint.name_of(epoch, step)

    def identify(self, world: World) -> str:
        """The run's id, which its checkpoints and results carry; made when it is first asked for. Collective.

        A run whose id is lost has that of its newest checkpoint.
        """
        if not world.is_main:
            return world.gather_texts("")[0]
        name = run_folder.read_id(self.folder)
        if name is None:
            newest = self.newest()
            name = (checkpoint.describe(newest).written_by.get("run") if newest else None) or secrets.token_hex(8)
            run_folder.write_id(self.folder, name)
        return world.gather_texts(name)[0]

    def fetch(self) -> None:
        """Makes this node's folder what the URL holds, with its newest checkpoint and none newer. Any worker may."""
        if self._at_url is not None:
            self._at_url.fetch_newest()

    def checkpoints(self) -> list[Path]:
        """Those in the folder that were written to their end, the newest first."""
        names = checkpoint.complete(path.name for path in self.checkpoints_folder.glob("epoch-*"))
        folders = (self.checkpoints_folder / name for name in names)
        return [folder for folder in folders if checkpoint.exists(folder)]

    def put_back_old(self) -> None:
        """Takes back a checkpoint that stepped aside for one that never came. One worker calls this."""
        checkpoint.put_back_old(self.checkpoints_folder)

    def newest(self) -> Path | None:
        """The newest of them whose manifest is whole, or None."""
        for folder in self.checkpoints():
            with contextlib.suppress(checkpoint.Damaged):
                checkpoint.describe(folder)
                return folder
        return None

    def fetch_again(self, folder: Path) -> bool:
        """Takes a checkpoint once more from the URL, whatever is in this node's folder; False for a run without one."""
        if self._at_url is not None:
            self._at_url.fetch_again(folder)
        return self._at_url is not None

    def set_aside(self, folder: Path, world: World) -> Path:
        """Gives a checkpoint that cannot be used another name, here and at the URL; returns where it is. Collective."""
        aside = folder
        if self._at_url is not None:
            aside = self._at_url.set_aside(folder, world)
        elif world.is_main:
            aside = checkpoint.set_aside(folder)
        world.barrier()
        return aside

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
        progress = Progress.of(checkpoint.describe(newest).progress)
        try:
            best = self._on_this_node(progress.best_epoch)
            checkpoint.check_there(best)
        except UserError as error:
            say(f"the best checkpoint, of epoch {progress.best_epoch}, is lost ({error}): {newest} stands for it")
            return newest
        return best

    def _on_this_node(self, epoch: int) -> Path:
        folder = self.checkpoint(epoch)
        if self._at_url is not None:
            self._at_url.fetch_checkpoint(folder)
        return folder

    def save(self, state: TrainingState, progress: Progress, world: World) -> Path:
        """Writes a checkpoint and sends it up; beside it only those of `drop_checkpoints` stay. Collective."""
        folder = self.checkpoint(progress.epoch, progress.step)
        state.save(folder, world, dataclasses.asdict(progress))
        if self._at_url is not None:
            self._at_url.push_checkpoint(folder, world, keep=self._kept(progress))
        return folder

    def drop_checkpoints(self, progress: Progress) -> None:
        """Deletes all but the newest and the best; where these are one, the newest before it stays too: a run never
        depends on a single checkpoint. One worker calls this, once the newest one is known everywhere.

        What was set aside, or is no checkpoint, stays.
        """
        kept = self._kept(progress)
        for folder in self.checkpoints_folder.iterdir():
            if folder.name not in kept and checkpoint.is_name(folder.name):
                checkpoint.remove(folder)

    def _kept(self, progress: Progress) -> set[str]:
        newest = checkpoint.name_of(progress.epoch, progress.step)
        kept = {newest, checkpoint.name_of(progress.best_epoch)}
        ranked = checkpoint.complete({newest, *(folder.name for folder in self.checkpoints())})
        older = [name for name in ranked[ranked.index(newest) + 1 :] if name not in kept]
        return kept if len(kept) > 1 and self.checkpoint(progress.best_epoch).exists() else {*kept, *older[:1]}

    # When it ends

    def keep_record(self) -> None:
        """Sends up what rank 0 has written down beside checkpoints: a run that breaks off has no other chance."""
        if self._at_url is not None:
            self._at_url.push_record()

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
