"""The folder of one run. Only rank 0 writes here, checkpoints apart.

config.yaml       what was asked: the complete config, written first
identity.json     the run's id, which its checkpoints and results carry
history.jsonl     what happened: a line an epoch and a validation
checkpoints/      the newest state and the best
representations/  what came out: vectors of all users and items
metrics.json      and the test metrics, written last
tensorboard/      curves
ray/              what Ray keeps of each start
diverged-*.json   what was in the batch of a step that went wrong
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from dualgnn_dist.base.documents import read_yaml_text
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.storage.files import write_atomically
from dualgnn_dist.base.storage.removal import files_below, remove_files
from dualgnn_dist.training.config import NUMBERS, decision

CONFIG, HISTORY, METRICS, CHECKPOINTS = "config.yaml", "history.jsonl", "metrics.json", "checkpoints"
REPRESENTATIONS, TENSORBOARD, RAY = "representations", "tensorboard", "ray"
IDENTITY, DIVERGED = "identity.json", "diverged-*.json"
KEPT = {"diverged", "changed"}
"""What a line of the history says for good: that a step was not finite, and which settings a resume changed."""

_CHECKPOINT = re.compile(r"epoch-\d{5,}(-step-\d{7,})?(\.partial|\.old)?")
_STATE = re.compile(r"(checkpoint\.json|[^/]+\.pt)(\.partial)?")  # a checkpoint's files, and such on their way up
_OWN = re.compile(
    r"config\.yaml|identity\.json|history\.jsonl|metrics\.json|trackers\.json|stop|diverged-[^/]+\.json"
    rf"|{CHECKPOINTS}/{_CHECKPOINT.pattern}(\.damaged(-\d+)?)?/({_STATE.pattern})"
    rf"|representations/[^/]+\.arrow|({TENSORBOARD}|{RAY})/.+"
)
_CUT_OFF = re.compile(r"\..+\.\d+-\d+")  # what `written_whole` was writing in a process that was killed


def check(folder: Path, config_yaml: str, resume: bool) -> None:
    """Refuses what `create` would refuse, before time goes into the data; changes nothing.

    Raises:
        UserError: the run exists and `resume` is not set; it is to be resumed and does not exist, or was started with
            settings that compute something else.
    """
    if not resume and folder.exists() and not _is_left_over(folder):
        if not _is_begun(folder):
            raise UserError(f"{folder} exists and is no run; choose another name with run.name=...")
        raise UserError(f"the run {folder} exists; continue it with --resume, or choose another name with run.name=...")
    if resume:
        if not (folder / CONFIG).exists():
            raise UserError(f"there is no run to resume at {folder}; leave out --resume to start it")
        _refuse_another_run(folder, _config_of(folder), yaml.safe_load(config_yaml))


def create(folder: Path, config_yaml: str, resume: bool) -> None:
    """Makes the folder, or takes an existing one if the run is to be resumed; it holds `config_yaml` then.

    Raises:
        UserError: as `check`, or the folder cannot be made there.
    """
    check(folder, config_yaml, resume)
    changed = _changed(folder, config_yaml) if resume else {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
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
    """Deletes a run that failed before its first epoch or checkpoint, so that its name is free.

    What is not the run's own stays, such as the story of the failure.
    """
    if not (folder / HISTORY).exists() and not (folder / CHECKPOINTS).exists():
        remove(folder)


def remove(folder: Path) -> list[str]:
    """Deletes what a run has written into its folder, its config first; returns what is left there of others."""
    names = [name for name in files_below(folder) if is_own(name)]
    return remove_files(folder, sorted(names, key=lambda name: name != CONFIG))


def is_own(name: str) -> bool:
    """Whether a run writes a file of this name, a path inside its folder."""
    head, _, base = name.rpartition("/")
    return _OWN.fullmatch(name) is not None or (_CUT_OFF.fullmatch(base) is not None and head in ("", REPRESENTATIONS))


def is_checkpoint(name: str) -> bool:
    """Whether a run calls a folder of `checkpoints` so, a whole one or one that it was writing."""
    return _CHECKPOINT.fullmatch(name) is not None


def files_of_checkpoint(names: Iterable[str]) -> list[str]:
    """Those of the names of a checkpoint's files that are a checkpoint's; its manifest first, by which it is whole."""
    return sorted((name for name in names if _STATE.fullmatch(name)), key=lambda name: not name.endswith(".json"))


def clear_cut_off(folder: Path) -> list[Path]:
    """Deletes what a run that was killed was just writing, checkpoints among it; returns what that was.

    Only who is alone in the folder may call this.
    """
    files = [path for path in folder.glob(".*") if _CUT_OFF.fullmatch(path.name) and not path.is_dir()]
    for file in files:
        remove_files(folder, [file.name])
    partials = [path for path in sorted((folder / CHECKPOINTS).glob("epoch-*.partial")) if is_checkpoint(path.name)]
    for partial in partials:
        remove_files(partial, files_of_checkpoint(files_below(partial)))
    return [*files, *partials]


def _is_begun(folder: Path) -> bool:
    return any((folder / name).exists() for name in (CONFIG, HISTORY, CHECKPOINTS, METRICS))


def _is_left_over(folder: Path) -> bool:
    """Whether a folder holds nothing but what a start that failed left there to be read."""
    return folder.is_dir() and not _is_begun(folder) and all(map(is_story, files_below(folder)))


def is_story(name: str) -> bool:
    """Whether a file tells why a start failed: it stays when the rest of the run goes."""
    return is_own(name) or re.fullmatch(r"(fail|error|diverged)[^/]*(/.+)?", name) is not None


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


def _config_of(folder: Path) -> dict[str, Any]:
    """What the run was started with.

    Raises:
        UserError: its file is damaged.
    """
    path = folder / CONFIG
    try:
        values = read_yaml_text(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}); write the config of the run there again") from error
    if not isinstance(values, dict) or not all(isinstance(section, (dict, type(None))) for section in values.values()):
        raise UserError(f"{path} is damaged (it holds no sections); write the config of the run there again")
    return values


def _changed(folder: Path, config_yaml: str) -> dict[str, Any]:
    """What of the optimizer's settings a resume changes: `optimizer.key` -> [before, now]."""
    was, now = (values.get("optimizer") or {} for values in (_config_of(folder), yaml.safe_load(config_yaml)))
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
