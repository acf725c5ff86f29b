"""Which checkpoints a run has: what they are called, the newest, the best."""

from __future__ import annotations

from pathlib import Path

from dualgnn_dist.base.config import UserError
from dualgnn_dist.training import checkpoint
from dualgnn_dist.training.run_folder import CHECKPOINTS


def checkpoint_name(epoch: int, step: int = 0) -> str:
    """Of the state after so many epochs, and so many steps of the next."""
    return f"epoch-{epoch:05d}" + (f"-step-{step:07d}" if step else "")


def best_checkpoint(run: Path) -> Path:
    """The checkpoint of a run's best epoch, as its newest checkpoint names it.

    Raises:
        UserError: the run has no complete checkpoint.
    """
    latest = latest_checkpoint(run)
    if latest is None:
        raise UserError(f"the run {run} has no complete checkpoint")
    return latest.with_name(checkpoint_name(checkpoint.describe(latest)["progress"]["best_epoch"]))


def latest_checkpoint(run: Path) -> Path | None:
    """The newest complete checkpoint of a run folder, or None."""
    # One that was being written when the run was killed may hold half a manifest.
    whole = (folder for folder in sorted((run / CHECKPOINTS).glob("epoch-*")) if folder.suffix != ".partial")
    found = [folder for folder in whole if checkpoint.exists(folder)]
    return found[-1] if found else None
