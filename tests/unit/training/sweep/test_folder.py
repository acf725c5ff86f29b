"""A sweep's records read back: what is damaged is counted, and who may win."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.training.sweep.folder import ID, SWEEP, TRIALS, SweepFolder, Trial, best_of, may_win


def trial(number: int, value: float | None, state: Any = "complete") -> Trial:
    return Trial(number, {}, state, value, 1, 1.0, None, ())


def test_lines_that_hold_no_trial_are_counted(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path)
    assert folder.read_trials() == ([], 0)
    folder.append(trial(0, 0.5))
    with (tmp_path / TRIALS).open("ab") as file:
        file.write(b'{"number": 1, \n\n3\n' + b"[" * 10**5 + b"\n\xff\n{}")
    folder.append(trial(1, None, "failed"))
    assert folder.read_trials() == ([trial(0, 0.5), trial(1, None, "failed")], 5)
    assert folder.trials() == folder.read_trials()[0]
    (tmp_path / TRIALS).unlink()
    (tmp_path / TRIALS).mkdir()
    with pytest.raises(UserError, match=r"trials\.jsonl cannot be read"):
        folder.trials()


def test_who_may_win() -> None:
    ended, stopped = [trial(0, 0.1), trial(1, 0.1)], [trial(2, 0.9, "stopped"), trial(3, None, "stopped")]
    failed = [trial(4, 2.0, "failed"), trial(5, None)]
    assert may_win([*ended, *stopped, *failed]) == ended and best_of([*ended, *stopped, *failed]) == ended[0]
    assert may_win([*stopped, *failed]) == stopped[:1] and may_win(failed) == [] and best_of(failed) is None


ODD = ["[/red]\x1b[31m", "a\nb\u2028c\x85d", "\ud800", "\U0001f600" * 400, '"}\n{"']


def test_odd_texts_stay_within_their_line(tmp_path: Path) -> None:
    trials = [Trial(n, {text: text}, "failed", None, 0, 0.0, text, ()) for n, text in enumerate(ODD)]
    for record in trials:
        SweepFolder(tmp_path).append(record)
    assert SweepFolder(tmp_path).read_trials() == (trials, 0)
    assert len((tmp_path / TRIALS).read_bytes().split(b"\n")) == len(ODD) + 1


def test_a_number_counts_once(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path)
    for record in (trial(0, 0.1), trial(1, 0.2), trial(0, 0.3)):
        folder.append(record)
    assert folder.trials() == [trial(0, 0.3), trial(1, 0.2)]


def test_what_cannot_be_recorded_is_said(tmp_path: Path) -> None:
    (tmp_path / TRIALS).mkdir()
    with pytest.raises(UserError, match=r"trials\.jsonl cannot be written \(Is a directory\)"):
        SweepFolder(tmp_path).append(trial(0, 0.1))


def test_a_sweep_deletes_what_it_made_and_nothing_else(tmp_path: Path) -> None:
    def made(path: Path) -> SweepFolder:
        for name in (SWEEP, ID, TRIALS, "optuna.db", "ray/start-000/tuner.pkl", "trials/ab/s1/config.yaml"):
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text("x")
        (path / "ray" / "start-000" / "empty").mkdir()
        return SweepFolder(path)

    made(tmp_path / "all").remove()
    assert not (tmp_path / "all").exists()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").write_text("x")
    folder = made(tmp_path / "some")
    (folder.path / "notes.txt").write_text("mine")
    (folder.path / "trials" / "link").symlink_to(tmp_path / "outside")
    folder.remove()
    assert [path.name for path in folder.path.iterdir()] == ["notes.txt"]
    assert (tmp_path / "outside" / "kept").exists(), "no link is followed"
