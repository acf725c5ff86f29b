"""The folder of one run. Only rank 0 writes here, checkpoints apart.

config.yaml       what was asked: the complete config, written first
identity.json     the run's id, which its checkpoints and results carry
history.jsonl     what happened: a line an epoch and a validation
checkpoints/      the newest state and the best
representations/  what came out: vectors of all users and items
metrics.json      and the test metrics, written last
tensorboard/      curves
diverged-*.json   what was in the batch of a step that went wrong
"""

from __future__ import annotations

import json
import re
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
IDENTITY, DIVERGED = "identity.json", "diverged-*.json"
KEPT = {"diverged", "changed"}
"""What a line of the history says for good: that a step was not finite, and which settings a resume changed."""


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
    changed = _changed(folder, config_yaml) if resume else {}
    try:
        folder.mkdir(parents=True, exist_ok=resume)
        if changed:
            with (folder / HISTORY).open("a") as file:
                file.write(json.dumps({"epoch": _diverged_after(folder), "changed": changed}) + "\n")
        write_atomically(folder / CONFIG, config_yaml)
    except OSError as error:
        raise UserError(
            f"the run folder {folder} cannot be written ({error.strerror}); choose another place with run.output=..."
        ) from error


def read_id(folder: Path) -> str | None:
    """The run's id; None if it has none, or none that can be read."""
    try:
        name = json.loads((folder / IDENTITY).read_text())["run"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return name if isinstance(name, str) and re.fullmatch(r"[0-9a-f]{16}", name) else None


def write_id(folder: Path, name: str) -> None:
    """Gives the run its id, for good."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / IDENTITY, json.dumps({"run": name}) + "\n")


def remove_unless_started(folder: Path) -> None:
    """Deletes the folder of a run that failed before its first epoch or checkpoint, so that its name is free."""
    if not (folder / HISTORY).exists() and not (folder / CHECKPOINTS).exists():
        shutil.rmtree(folder, ignore_errors=True)


def _refuse_another_run(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """How long a run goes on, how fast and where may change when it is resumed; what it computes may not.

    A run that diverged would do so again: how its optimizer steps may change too, and that is recorded.
    """
    for section, values in now.items():
        if section == "prepare" or not isinstance(values, Mapping):  # the store's fingerprint stands for `prepare`
            continue
        for key, is_now in values.items():
            was = (before.get(section) or {}).get(key)
            if was != is_now and decision(section, key) in NUMBERS:
                if section == "optimizer" and _diverged_after(folder) is not None:
                    continue
                raise UserError(
                    f"the run {folder} was started with {section}.{key}={was!r}, the config says {is_now!r}; resume it "
                    "as it was, or start another run with run.name=..."
                )


def _changed(folder: Path, config_yaml: str) -> dict[str, Any]:
    """What of the optimizer's settings a resume changes: `optimizer.key` -> [before, now]."""
    was, now = (yaml.safe_load(text).get("optimizer") or {} for text in ((folder / CONFIG).read_text(), config_yaml))
    return {f"optimizer.{key}": [was.get(key), value] for key, value in now.items() if was.get(key) != value}


def _diverged_after(folder: Path) -> int | None:
    """The finished epochs after which the run diverged, the last time; None for one that never did."""
    after = None
    for line in (folder / HISTORY).read_text().splitlines() if (folder / HISTORY).exists() else ():
        try:
            values = json.loads(line)
            after = values["epoch"] if "diverged" in values else after
        except (ValueError, TypeError, KeyError, RecursionError):  # the line during which the run was killed
            continue
    return after
