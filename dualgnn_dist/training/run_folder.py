"""The folder of one run. Only rank 0 writes here, checkpoints apart.

config.yaml       what was asked: the complete config, written first
history.jsonl     what happened: a line an epoch and a validation
checkpoints/      the newest state and the best
representations/  what came out: vectors of all users and items
metrics.json      and the test metrics, written last
tensorboard/      curves
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.storage.files import write_atomically
from dualgnn_dist.training.config import NUMBERS, decision

CONFIG, HISTORY, METRICS, CHECKPOINTS = "config.yaml", "history.jsonl", "metrics.json", "checkpoints"
REPRESENTATIONS, TENSORBOARD = "representations", "tensorboard"


def check(folder: Path, config_yaml: str, resume: bool) -> None:
    """Refuses what `create` would refuse, before time goes into the data; changes nothing.

    Raises:
        UserError: the run exists and `resume` is not set; it is to be resumed and does not exist, or was started with
            settings that compute something else.
    """
    if not resume and folder.exists():
        raise UserError(f"the run {folder} exists; continue it with --resume, or choose another name with run.name=...")
    if resume:
        if not (folder / CONFIG).exists():
            raise UserError(f"there is no run to resume at {folder}; leave out --resume to start it")
        _refuse_another_run(folder, yaml.safe_load((folder / CONFIG).read_text()), yaml.safe_load(config_yaml))


def create(folder: Path, config_yaml: str, resume: bool) -> None:
    """Makes the folder, or takes an existing one if the run is to be resumed; it holds `config_yaml` then.

    Raises:
        UserError: as `check`, or the folder cannot be made there.
    """
    check(folder, config_yaml, resume)
    try:
        folder.mkdir(parents=True, exist_ok=resume)
        write_atomically(folder / CONFIG, config_yaml)
    except OSError as error:
        raise UserError(
            f"the run folder {folder} cannot be written ({error.strerror}); choose another place with run.output=..."
        ) from error


def remove_unless_started(folder: Path) -> None:
    """Deletes the folder of a run that failed before its first epoch or checkpoint, so that its name is free."""
    # The story of a failure stays, as who was told of it will look for it.
    if not any((folder / name).exists() for name in (HISTORY, CHECKPOINTS, "failures")):
        shutil.rmtree(folder, ignore_errors=True)


def _refuse_another_run(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """How long a run goes on, how fast and where may change when it is resumed; what it computes may not."""
    for section, values in now.items():
        if section == "prepare" or not isinstance(values, Mapping):  # the store's fingerprint stands for `prepare`
            continue
        for key, is_now in values.items():
            was = (before.get(section) or {}).get(key)
            if was != is_now and decision(section, key) in NUMBERS:
                raise UserError(
                    f"the run {folder} was started with {section}.{key}={was!r}, the config says {is_now!r}; resume it "
                    "as it was, or start another run with run.name=..."
                )
