"""Which checkpoint a run goes on from: the newest that is whole, the same one on every worker."""

from __future__ import annotations

from pathlib import Path

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import Say
from dualgnn_dist.base.world import World
from dualgnn_dist.training import checkpoint
from dualgnn_dist.training.progress import Progress
from dualgnn_dist.training.run import Run


def newest_whole(run: Run, world: World, say: Say) -> Path | None:
    """The newest checkpoint of a fetched run whose files are what was written, as each worker finds that reads them;
    collective.

    A damaged one is named, and set aside under another name; one that is damaged on this node alone is fetched again.

    Args:
        say: hears of what is set aside; rank 0's alone is called.

    Returns:
        None for a run that has none.

    Raises:
        UserError: the newest one is of another format version.
    """
    if world.is_main:
        run.put_back_old()
    is_damaged = False
    while name := world.gather_texts(_newest_name(run))[0]:
        folder = run.checkpoints_folder / name
        damage = damage_of(folder, run, world, say)
        if damage is None:
            return folder
        aside = run.set_aside(folder, world)
        if world.is_main:
            say(f"{damage}: it is set aside as {aside}")
        is_damaged = True
        run.fetch()
    if is_damaged and world.is_main:
        say("no whole checkpoint is left: the run starts from its first step")
    return None


def damage_of(folder: Path, run: Run, world: World, say: Say) -> str | None:
    """What is wrong with a checkpoint, the same on every worker; None where it is whole. Collective."""
    damage = _damage(folder, world, say)
    if damage is not None and run.fetch_again(folder):
        world.barrier()
        damage = _damage(folder, world, say)
    return damage


def is_best_lost(run: Run, progress: Progress, world: World, say: Say) -> bool:
    """Whether the best epoch's checkpoint is missing or damaged; then `progress` forgets it. Collective.

    It is the state that a run ends with, so this is better known when the run goes on than when it ends.
    """
    if progress.best_epoch == 0 or (progress.epoch, progress.step) == (progress.best_epoch, 0):
        return False
    folder = run.checkpoint(progress.best_epoch)
    try:
        checkpoint.together(world, lambda: str(run.best(progress)))
        damage = damage_of(folder, run, world, say)
        if damage is not None:
            damage = f"{damage}: it is set aside as {run.set_aside(folder, world)}"
    except UserError as error:
        damage = str(error)
    if damage is None:
        return False
    if world.is_main:
        say(f"the best state so far, of epoch {progress.best_epoch}, is lost ({damage}): the best from here on counts")
    progress.forget_best()
    return True


def _damage(folder: Path, world: World, say: Say) -> str | None:
    try:
        manifest = checkpoint.check_together(folder, world)
        Progress.of(manifest.progress)
        if manifest.format_version == checkpoint.UNCHECKED_VERSION and world.is_main:
            say(f"{folder} is of an older version and has no checksums: it cannot be checked")
    except checkpoint.Damaged as error:
        return str(error).removesuffix("; take another checkpoint")
    except ValueError as error:
        if type(error) is not ValueError:
            raise
        return f"the checkpoint {folder} is damaged: {error}"
    return None


def _newest_name(run: Run) -> str:
    folders = run.checkpoints()
    return folders[0].name if folders else ""
