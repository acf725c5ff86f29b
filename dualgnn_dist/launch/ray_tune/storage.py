"""Where the study lies: a database that several sweeps may share, each study owned by one of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from urllib.parse import quote

import optuna
from sqlalchemy.engine import URL, make_url

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.storage.locks import described, this_process
from dualgnn_dist.training.sweep.folder import STUDY, SweepFolder, Trial
from dualgnn_dist.training.sweep.space import Sweep
from dualgnn_dist.training.sweep.study_url import PASSWORD

OWNER = "dualgnn_dist_sweep"  # the attribute of a study that says whose it is


def study_url(sweep: Sweep, folder: SweepFolder) -> str:
    """Where the study lies, as `optuna-dashboard` takes it; no password is in it."""
    if sweep.config.study is not None:
        return sweep.config.study
    return URL.create("sqlite", database=str(folder.path / STUDY)).render_as_string()


def study_name(sweep: Sweep) -> str:
    """Of the study in its storage."""
    return sweep.folder.name


def open_storage(sweep: Sweep, folder: SweepFolder) -> optuna.storages.RDBStorage:
    """The database of the study; its password comes from the environment.

    Raises:
        UserError: there is no such database, or it cannot be entered.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url, password = study_url(sweep, folder), os.environ.get(PASSWORD)
    try:
        if password and sweep.config.study is not None:
            url = make_url(url).set(password=password).render_as_string(hide_password=False)
        return optuna.storages.RDBStorage(url)
    except Exception as error:  # whatever the driver of that database raises
        reason = str(error).replace(url, study_url(sweep, folder))
        raise UserError(f"sweep.study={sweep.config.study!r} cannot be opened: {without_secret(reason)}") from None


def without_secret(text: str) -> str:
    """A message of a database's driver without the password, as it is and as it stands in a URL."""
    password = os.environ.get(PASSWORD)
    for secret in (password, quote(password, safe=" +")) if password else ():
        text = text.replace(secret, "***")
    return text


def own_study(
    storage: optuna.storages.RDBStorage, sweep: Sweep, folder: SweepFolder, ended: Sequence[Trial], resume: bool
) -> optuna.Study:
    """The study of this sweep, made or found again.

    Raises:
        UserError: one of that name is another sweep's, or it is not the one that knows the trials that have ended.
    """
    name, owner = study_name(sweep), {"id": folder.id, "folder": str(folder.path), **this_process()}
    try:
        study = optuna.create_study(storage=storage, study_name=name, direction="maximize")
    except optuna.exceptions.DuplicatedStudyError:
        study = optuna.load_study(study_name=name, storage=storage)
        before = study.user_attrs.get(OWNER)
        if not (resume if before is None else before.get("id") == folder.id):  # older sweeps signed nothing
            raise UserError(
                f"the study {name!r} in {study_url(sweep, folder)} belongs to {_whose(before)}; name this sweep "
                "otherwise with sweep.name=..., or give it another sweep.study=..."
            ) from None
    newest = max((trial.number for trial in ended), default=-1)
    if newest >= len(study.get_trials(deepcopy=False)):
        if not study.get_trials(deepcopy=False):
            optuna.delete_study(study_name=name, storage=storage)
        raise UserError(
            f"the sweep {folder.path} has {len(ended)} trials that its study {name!r} in {study_url(sweep, folder)} "
            "does not know; give sweep.study=... as it was, or start another sweep with sweep.name=..."
        )
    study.set_user_attr(OWNER, owner)
    return study


def forget_study(sweep: Sweep, folder: SweepFolder) -> None:
    """Deletes this sweep's study, and no other's, where it can be reached: nothing came of it."""
    with contextlib.suppress(Exception):  # the error that ends the sweep is the one to be read
        storage, name = open_storage(sweep, folder), study_name(sweep)
        owner = optuna.load_study(study_name=name, storage=storage).user_attrs.get(OWNER)
        if isinstance(owner, dict) and owner.get("id") == folder.id:
            optuna.delete_study(study_name=name, storage=storage)


def _whose(owner: object) -> str:
    if not isinstance(owner, dict):
        return "something else: no sweep has signed it"
    return f"the sweep {owner.get('folder')}, last written by {described(owner)}"
