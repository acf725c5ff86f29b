"""The folder of a run: one run a name, whole files, a history that a resumed run goes on with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.files import write_atomically
from dualgnn_dist.training.run_folder import CONFIG, HISTORY, METRICS, RunFolder


def config_yaml(epochs: int, width: int = 8) -> str:
    return f"model: {{name: dualgnn, width: {width}}}\ntrain: {{epochs: {epochs}}}\n"


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "first"
    with pytest.raises(UserError, match=r"there is no run to resume at .*first; leave out --resume to start it"):
        RunFolder.create(path, config_yaml(1), resume=True)
    assert not path.exists()
    RunFolder.create(path, config_yaml(1), resume=False)
    with pytest.raises(UserError, match=r"first exists; continue it with --resume, or choose another .*run\.name="):
        RunFolder.create(path, config_yaml(2), resume=False)
    with pytest.raises(UserError, match=r"was started with model\.width=8, the config says 9; resume it as it was"):
        RunFolder.create(path, config_yaml(1, width=9), resume=True)
    assert (path / CONFIG).read_text() == config_yaml(1)
    RunFolder.create(path, config_yaml(3), resume=True)  # longer, but the same run
    assert (path / CONFIG).read_text() == config_yaml(3)
    assert [file.name for file in path.iterdir()] == [CONFIG]


def test_history_tensorboard_and_metrics(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, active=True)
    records = [
        {"epoch": 1, "training": {"loss": 0.5, "seconds": 2.0}},
        {"epoch": 1, "validation": {"recall@20": 0.25}},
        {"epoch": 2, "training": {"loss": 0.25, "seconds": 1.0}, "note": "not a number"},
    ]
    for record in records:
        folder.log(record)
    folder.write_metrics({"test": {"recall@20": 0.1}})
    folder.close()
    assert [json.loads(line) for line in (tmp_path / HISTORY).read_text().splitlines()] == records
    assert json.loads((tmp_path / METRICS).read_text()) == {"test": {"recall@20": 0.1}}
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert set(board.Tags()["scalars"]) == {"training/loss", "training/seconds", "validation/recall@20"}
    assert [(event.step, event.value) for event in board.Scalars("training/loss")] == [(1, 0.5), (2, 0.25)]


def test_a_resumed_run_forgets_what_it_makes_anew(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, active=True)
    folder.forget_after(3)  # nothing yet
    assert not (tmp_path / HISTORY).exists()
    for epoch in (1, 2, 3, 4):
        folder.log({"epoch": epoch})
    folder.forget_after(2)
    folder.log({"epoch": 3, "again": True})
    folder.close()
    lines = [json.loads(line) for line in (tmp_path / HISTORY).read_text().splitlines()]
    assert lines == [{"epoch": 1}, {"epoch": 2}, {"epoch": 3, "again": True}]


def test_other_ranks_write_nothing(tmp_path: Path) -> None:
    (tmp_path / HISTORY).write_text('{"epoch": 9}\n')
    folder = RunFolder(tmp_path, active=False)
    folder.log({"epoch": 1, "training": {"loss": 1.0}})
    folder.write_metrics({"test": {}})
    folder.forget_after(0)
    folder.close()
    assert [file.name for file in tmp_path.iterdir()] == [HISTORY]
    assert (tmp_path / HISTORY).read_text() == '{"epoch": 9}\n'


@pytest.mark.parametrize("sign_of_life", [None, HISTORY, "checkpoints"])
def test_a_run_that_never_started_leaves_its_name_free(tmp_path: Path, sign_of_life: str | None) -> None:
    path = tmp_path / "run"
    RunFolder.create(path, "a: 1\n", resume=False)
    if sign_of_life:
        (path / sign_of_life).mkdir()
    RunFolder.remove_unless_started(path)
    assert path.exists() == (sign_of_life is not None)


def test_a_failed_write_leaves_the_old_text(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")  # a lone surrogate cannot be written
    assert path.read_text() == "old"
    write_atomically(path, "new")
    assert path.read_text() == "new"
