"""A sweep's study: whose it is, what it is told of trials that end, and what a sweep that died left in it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.launch.ray_tune import storage
from dualgnn_dist.launch.ray_tune.study import Search, end_running, open_study
from dualgnn_dist.training.sweep.folder import STUDY, SweepFolder, Trial
from dualgnn_dist.training.sweep.load import load_sweep
from dualgnn_dist.training.sweep.space import Sweep

KEY = "optimizer.learning_rate"


def made(tmp_path: Path, output: str = "runs", **settings: Any) -> tuple[Sweep, SweepFolder]:
    values = {
        "data": {"store": "none"},
        "model": {"name": "lightgcn"},
        "run": {"output": str(tmp_path / output)},
        "search": {KEY: {"loguniform": [1e-4, 1e-1]}},
        "sweep": {"name": "w", "trials": 4, **settings},
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(values))
    sweep = load_sweep(tmp_path / "sweep.yaml")
    return sweep, SweepFolder(sweep.folder)


def opened(sweep: Sweep, folder: SweepFolder, ended: list[Trial] | None = None, is_over: bool = False) -> Search:
    resume = folder.path.exists()
    folder.start(sweep, resume)
    return open_study(sweep, folder, ended or [], resume, lambda: is_over)


def states(search: Search) -> list[str]:
    return [trial.state.name for trial in search.study.trials]


def result(value: float, step: int = 1, **more: Any) -> dict[str, Any]:
    return {"value": value, "training_iteration": step, "is_complete": False, **more}


def record(number: int, params: dict[str, Any]) -> Trial:
    return Trial(number, params, "complete", 0.5, 3, 1.0, None, (0.5,))


def test_the_study_hears_of_every_end(tmp_path: Path) -> None:
    search = opened(*made(tmp_path))
    for name in "abcdef":
        search.suggest(name)
    search.on_trial_result("a", result(0.1))
    search.on_trial_complete("a", result(0.2, 2, is_complete=True))
    search.on_trial_complete("b", result(0.3))  # stopped at its first report, which Tune does not pass on
    search.on_trial_complete("c", None)
    search.on_trial_complete("d", result(0.3), error=True)
    search.on_trial_complete("e", result(float("nan"), is_complete=True))
    search.on_trial_complete("e", result(0.9, is_complete=True))  # twice: the first counts
    search.on_trial_complete("never suggested", error=True)
    assert states(search) == ["COMPLETE", "PRUNED", "PRUNED", "FAIL", "FAIL", "RUNNING"]
    assert [trial.value for trial in search.study.trials[:3]] == [0.2, 0.3, None]
    end_running(search.study)
    assert states(search)[-1] == "FAIL"
    search.on_trial_result("e", result(0.4, 5))  # late: no error
    assert opened(*made(tmp_path, "other"), is_over=True).suggest("x") == "FINISHED"


def test_what_a_dead_sweep_left_is_tried_again_once(tmp_path: Path) -> None:
    sweep, folder = made(tmp_path)
    search = opened(sweep, folder)
    points = [search.suggest(name)["params"] for name in "abc"]
    search.on_trial_complete("a", result(0.2, is_complete=True))
    search.on_trial_complete("b", result(0.3, is_complete=True))  # killed before its record was written
    ended = [record(0, points[0])]
    for _ in range(3):  # killed again and again before anything is tried
        search = opened(sweep, folder, ended)
        assert "RUNNING" not in states(search)
        assert states(search).count("WAITING") == 2
    again = [search.suggest(name)["params"] for name in "xy"]
    assert again == points[1:]
    assert search.suggest("z")["params"] not in points


@pytest.mark.parametrize("place", ["100%", "a?b", "a#b", "two words", "\u00fc", "{x}", "%20", "a&b=c@d:e"])
def test_the_database_lies_in_the_sweeps_folder_whatever_its_name(tmp_path: Path, place: str) -> None:
    sweep, folder = made(tmp_path, place)
    opened(sweep, folder)
    assert folder.path == tmp_path / place / "w" and (folder.path / STUDY).stat().st_size > 0
    assert len(list(tmp_path.rglob("*.db"))) == 1
    assert optuna.load_study(study_name="w", storage=storage.study_url(sweep, folder)).user_attrs
    opened(sweep, folder)


def test_a_study_in_a_shared_database_has_one_owner(tmp_path: Path) -> None:
    shared = f"sqlite:///{tmp_path / 'shared.db'}"
    first, second = made(tmp_path, "first", study=shared), made(tmp_path, "second", study=shared)
    search = opened(*first)
    search.suggest("a")
    with pytest.raises(
        UserError, match=r"the study 'w' in .* belongs to the sweep .*/first/w, last written by process"
    ):
        opened(*second)
    storage.forget_study(*second)
    assert states(search) == ["RUNNING"], "the second one changed nothing"
    moved = tmp_path / "moved" / "w"
    moved.parent.mkdir()
    first[1].path.rename(moved)
    sweep, folder = made(tmp_path, "moved", study=shared)
    assert states(opened(sweep, folder))[0] == "FAIL", "its own sweep may go on, wherever it lies"
    storage.forget_study(sweep, folder)
    assert storage.open_storage(sweep, folder).get_all_studies() == []


def test_a_study_that_nobody_signed_is_an_older_sweeps_or_refused(tmp_path: Path) -> None:
    shared = f"sqlite:///{tmp_path / 'shared.db'}"
    optuna.create_study(study_name="w", storage=shared, direction="maximize")
    sweep, folder = made(tmp_path, study=shared)
    with pytest.raises(UserError, match="no sweep has signed it"):
        opened(sweep, folder)
    assert states(opened(sweep, folder)) == ["WAITING"] * 1, "resumed, it is adopted"


def test_records_without_their_study_are_refused(tmp_path: Path) -> None:
    sweep, folder = made(tmp_path)
    opened(sweep, folder)
    (folder.path / STUDY).unlink()
    with pytest.raises(UserError, match=r"has 1 trials that its study 'w' in .* does not know"):
        opened(sweep, folder, [record(3, {KEY: 0.1})])


def test_a_password_is_used_and_nowhere_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def refuse(url: str) -> None:
        seen.append(url)
        raise RuntimeError(f"cannot enter {url} with hunter2 or hunter%25")

    monkeypatch.setenv("DUALGNN_STUDY_PASSWORD", "hunter2")
    sweep, folder = made(tmp_path, study="postgresql://me@host/db")
    with monkeypatch.context() as patch:
        patch.setattr(optuna.storages, "RDBStorage", refuse)
        with pytest.raises(UserError) as error:
            opened(sweep, folder)
    assert seen == ["postgresql://me:hunter2@host/db"]
    assert "hunter2" not in str(error.value) and "postgresql://me@host/db" in str(error.value)
    assert all(b"hunter2" not in path.read_bytes() for path in folder.path.rglob("*") if path.is_file())

    sweep, folder = made(tmp_path, "runs2")
    search = opened(sweep, folder)
    search.save_to_dir(str(tmp_path))
    assert b"optuna.db" not in pickle.dumps(search), "what Tune pickles holds no URL"
    assert not list(tmp_path.glob("*searcher*"))
