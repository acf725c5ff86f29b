"""A run kept at a URL: each node works in a folder of its cache, and what must survive goes up after each checkpoint.

What lies at the URL is the run; what lies in a cache is a copy. A run is there from its `config.yaml` on, a checkpoint
from its manifest on, which goes up last; so nobody ever takes half of one. No node needs to see another's disk: each
worker sends up the rows that it wrote, and a node fetches what it lacks of a checkpoint before it reads it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import say
from dualgnn_dist.base.storage.files import locked, working_folder, written_whole
from dualgnn_dist.base.storage.lease import check_holder, folder_on_disk, holder_of, only_writer_at
from dualgnn_dist.base.storage.names import check_name, inside
from dualgnn_dist.base.storage.remote import RemoteFolder, in_parallel, is_url, join
from dualgnn_dist.base.storage.removal import files_below, remove_files
from dualgnn_dist.base.world import World
from dualgnn_dist.evaluation.representations import ITEMS_FILE, users_file
from dualgnn_dist.training import checkpoint, run_folder
from dualgnn_dist.training.run_folder import (
    CHECKPOINTS,
    CONFIG,
    DIVERGED,
    HISTORY,
    IDENTITY,
    METRICS,
    RAY,
    REPRESENTATIONS,
    TENSORBOARD,
)


class RunAtUrl:
    """The way of a run's folder to its URL and back.

    Every method raises UserError where the storage refuses or cannot be reached.

    Args:
        url: of the run.
        folder: of the run on this node.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self._remote = RemoteFolder.at(url)
        self._holder: Mapping[str, Any] | None = None  # of its lease, when this process took up the run

    @property
    def folder_on_disk(self) -> Path | None:
        """The folder that the URL names on this node's file systems, if it names one."""
        return folder_on_disk(self._remote)

    def only_writer(self) -> AbstractContextManager[None]:
        """Held by the process that starts the run, for as long as it goes on."""
        return only_writer_at(self._remote, "the run", say)

    def is_started(self) -> bool:
        """Whether there is a run at the URL."""
        return self._remote.exists(CONFIG)

    def check(self, resume: bool) -> None:
        """Refuses a run that is there and not to be resumed, or the other way round; fetches what is to be resumed.

        What the cache holds of another run of this name, which is at its URL no more, is deleted.
        """
        is_started = self.is_started()
        if is_started and not resume:
            raise UserError(
                f"the run {self.url} exists; continue it with --resume, or choose another name with run.name=..."
            )
        if resume and not is_started:
            raise UserError(f"there is no run to resume at {self.url}; leave out --resume to start it")
        if resume:
            self.fetch_newest()
            return
        left = run_folder.remove(self.folder) if self.folder.exists() else []
        if left := [name for name in left if not run_folder.is_story(name)]:
            raise UserError(f"the copy {self.folder} holds what is not the run's: {left[0]}; move it elsewhere")

    def announce(self) -> None:
        """Makes the run known at its URL. One process calls this, once its folder is made."""
        if (self.folder / HISTORY).exists():  # of a run that is resumed with other settings: it says so there
            self._remote.upload(self.folder / HISTORY, HISTORY)
        self._remote.upload(self.folder / CONFIG, CONFIG)

    def withdraw_unless_started(self) -> None:
        """Forgets a run at its URL that failed before its first checkpoint, so that its name is free.

        One that diverged has a history there, and can be resumed with other settings.
        """
        if not self._remote.sizes(CHECKPOINTS) and not self._remote.exists(HISTORY):
            self._remote.delete(CONFIG)

    def fetch_newest(self) -> None:
        """Makes this node's folder what the URL holds: settings, history and the newest checkpoint, none newer.

        Checkpoints that were written here and never came up are dropped: the other nodes have none of them. Every
        worker may call this.
        """
        self._holder = holder_of(self._remote)
        with self._locked():
            sizes = self._remote.sizes()
            self.folder.mkdir(parents=True, exist_ok=True)
            for name in {CONFIG, HISTORY, IDENTITY} & sizes.keys():
                self._download(name)
            there = [name.split("/")[1] for name in sizes if name.endswith(f"/{checkpoint.MANIFEST}")]
            newest = checkpoint.complete(there)[:1]
            self._drop_newer_than(newest)
            for name in newest:
                self._complete(name, sizes)

    def fetch_again(self, folder: Path) -> None:
        """Takes a checkpoint from the URL whatever is in this node's folder. Every worker may call this."""
        with self._locked():
            checkpoint.remove(folder)
            self._complete(folder.name, self._remote.sizes(f"{CHECKPOINTS}/{folder.name}"))

    def set_aside(self, folder: Path, world: World) -> Path:
        """Gives a checkpoint another name, here and at the URL; collective."""
        with self._locked():
            aside = checkpoint.set_aside(folder) if folder.exists() else folder
        if world.is_main:
            below = f"{CHECKPOINTS}/{folder.name}"
            manifest = f"{below}/{checkpoint.MANIFEST}"  # first: half of a checkpoint must not look whole
            for name in sorted(self._remote.sizes(below), key=lambda name: name != manifest):
                self._remote.rename(name, f"{CHECKPOINTS}/{aside.name}/{Path(name).name}")
            self._remote.delete_below(below, [])
        world.barrier()
        return aside

    def push_checkpoint(self, folder: Path, world: World, keep: Collection[str]) -> None:
        """Sends up the checkpoint `folder` that the workers have just saved, and what happened so far; collective.

        Args:
            keep: names of the checkpoints beside it that stay at the URL; the others are deleted.
        """
        name = f"{CHECKPOINTS}/{folder.name}"
        if world.is_main:
            check_holder(self._remote, self._holder, "the run")
            self._delete(folder.name)  # of a start that was killed on the way
        world.barrier()
        here = checkpoint.partial(folder)  # where the node of rank 0 is not, nobody has renamed it
        if not here.exists():
            here = folder
        mine = sorted(here.glob(f"*-{world.rank:05d}-of-{world.size:05d}.pt"))
        in_parallel(lambda file: self._remote.upload(file, f"{name}/{file.name}"), mine)
        world.barrier()
        if world.is_main:
            self._remote.upload(folder / "dense.pt", f"{name}/dense.pt")
            self.push_record()
            self._remote.upload(folder / checkpoint.MANIFEST, f"{name}/{checkpoint.MANIFEST}")
            self._delete_others({folder.name, *keep})
        elif here != folder:  # of no use without the other workers' rows
            for file in mine:
                file.unlink()
            with suppress(OSError):  # another worker of this node still has its own there
                here.rmdir()
        world.barrier()

    def fetch_checkpoint(self, folder: Path) -> None:
        """Makes the checkpoint `folder` whole on this node. Every worker may call this."""
        with self._locked():
            self._complete(folder.name, self._remote.sizes(f"{CHECKPOINTS}/{folder.name}"))

    def push_results(self, world: World) -> None:
        """Sends up what a finished run found out, `metrics.json` last; collective."""
        mine = [users_file(world.rank, world.size), *([ITEMS_FILE] if world.is_main else [])]
        for name in mine:
            self._remote.upload(self.folder / REPRESENTATIONS / name, f"{REPRESENTATIONS}/{name}")
        world.barrier()
        if world.is_main:
            self.push_record()
            self._remote.upload(self.folder / METRICS, METRICS)

    def fetch_results(self) -> None:
        """Fetches what the process that started the run shows of it: the workers may all have been elsewhere."""
        for name in (HISTORY, METRICS):
            self._download(name)

    def push_record(self) -> None:
        """What rank 0 appends to while the run goes on, and TensorBoard's files."""
        names = CONFIG, HISTORY, IDENTITY
        files = [*(self.folder / name for name in names), *self.folder.glob(DIVERGED)]
        files += (self.folder / TENSORBOARD).glob("**/*")
        for file in files:
            if file.is_file():
                self._remote.upload(file, file.relative_to(self.folder).as_posix())

    def _delete_others(self, kept: Collection[str]) -> None:
        for name in _checkpoints(self._remote.sizes(CHECKPOINTS)) - set(kept):
            self._delete(name)

    def _delete(self, name: str) -> None:
        """Deletes a checkpoint at the URL, its manifest first."""
        folder = f"{CHECKPOINTS}/{name}"
        files = [file.removeprefix(f"{folder}/") for file in self._remote.sizes(folder)]
        self._remote.delete_below(folder, run_folder.files_of_checkpoint(files))

    def _drop_newer_than(self, newest: list[str]) -> None:
        """Deletes this node's checkpoints that are newer than this one, or all if there is none, and half-made ones."""
        parent = self.folder / CHECKPOINTS
        here = {folder.name for folder in parent.glob("epoch-*") if checkpoint.is_name(folder.name)}
        ranked = checkpoint.complete({*here, *newest})
        older = ranked[ranked.index(newest[0]) :] if newest else []
        for name in here.difference(older):
            checkpoint.remove(parent / name)

    def _complete(self, name: str, sizes_there: dict[str, int]) -> None:
        """Fetches a checkpoint unless this node has it: the same files, and the same manifest. The lock is held."""
        folder = self.folder / CHECKPOINTS / name
        place = f"{CHECKPOINTS}/{name}"
        names = run_folder.files_of_checkpoint(
            file.removeprefix(f"{place}/") for file in sizes_there if file.startswith(f"{place}/")
        )
        files = {f"{place}/{file}": sizes_there[f"{place}/{file}"] for file in names if not file.endswith(".partial")}
        manifest = self._remote.read_text(f"{place}/{checkpoint.MANIFEST}")
        sizes = {f"{place}/{file.name}": file.stat().st_size for file in folder.glob("*")}
        if sizes == files and (folder / checkpoint.MANIFEST).read_text() == manifest:
            return
        say(f"fetching the checkpoint {join(self._remote.url, CHECKPOINTS, name)}")
        partial = checkpoint.partial(folder)
        for old in (partial, folder):
            checkpoint.remove(old)
        remote = self._remote
        in_parallel(lambda file: remote.download(file, partial / Path(file).name), files)
        partial.rename(folder)

    def _download(self, name: str) -> None:
        """Fetches a small file; the old one stays until the new one is whole."""
        with written_whole(self.folder / name) as temporary:
            self._remote.download(name, temporary)

    def _locked(self) -> AbstractContextManager[None]:
        return locked(self.folder.with_name(f".{self.folder.name}.lock"), say, f"it fetches the run {self.folder.name}")


def fetch(run: str) -> Path:
    """The folder of a finished run given as a path or a URL; one at a URL is copied into this node's cache.

    The copy is not the folder in which a run at this URL works on this node: that one may be at work.

    Raises:
        UserError: there is no run, or the storage refuses or holds names that lead out of the run.
    """
    if not is_url(run):
        folder = Path(os.path.abspath(run))
        if not os.path.isdir(folder):  # where `Path.is_dir` raises for a name too long
            raise UserError(
                f"{run} is not the folder of a run: there is no such folder; give the folder or the URL that `train` "
                "named"
            )
        return folder
    remote = RemoteFolder.at(run)
    try:
        check_name(remote.name)
    except ValueError as error:
        raise UserError(f"{run} is not the URL of a run: {error}") from None
    sizes = remote.sizes()
    if CONFIG not in sizes:
        raise UserError(f"{run} is not the folder of a run: it has no {CONFIG}; give the URLs that `train` named")
    wanted = [name for name in sizes if name.split("/")[0] not in (TENSORBOARD, RAY) and not name.startswith(".")]
    folder = working_folder(run, remote.name, "read")
    with locked(folder.with_name(f".{folder.name}.lock"), say, f"it fetches the run {remote.name}"):
        say(f"fetching {run}")
        remove_files(folder, [name for name in files_below(folder) if name not in wanted and run_folder.is_own(name)])
        in_parallel(lambda name: _replace(remote, name, folder), sorted(wanted))
    return folder


def _replace(remote: RemoteFolder, name: str, folder: Path) -> None:
    """Fetches a file; whoever reads the old one goes on with it."""
    try:
        path = inside(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as temporary:
            remote.download(name, temporary)
    except UserError:
        raise
    except (ValueError, OSError) as error:
        raise UserError(f"{remote.url} cannot be copied to {folder}: {error}") from None


def _checkpoints(names: Iterable[str]) -> set[str]:
    """The checkpoints to which such files belong."""
    folders = [name.split("/")[1] for name in names if name.startswith(f"{CHECKPOINTS}/") and name.count("/") > 1]
    return {folder for folder in folders if run_folder.is_checkpoint(folder)}
