"""A sweep's records read back: what is damaged is counted, and who may win."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.training.sweep.folder import TRIALS, SweepFolder, Trial, best_of, may_win


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
