"""The run folder: a name is used once, lines are appended, a resumed run forgets what it will do again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dualgnn_dist.run_folder import CONFIG, HISTORY, METRICS, RunFolder, write_atomically
from dualgnn_dist.strict import UserError


def test_a_new_run_gets_its_folder_and_config(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "first"
    RunFolder.create(path, "run:\n  name: first\n", resume=False)
    assert (path / CONFIG).read_text() == "run:\n  name: first\n"
    assert [file.name for file in path.iterdir()] == [CONFIG]


def test_a_name_is_used_once(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "run", "a: 1\n", resume=False)
    with pytest.raises(UserError, match=r"exists; continue it with --resume, or choose another name with run\.name="):
        RunFolder.create(tmp_path / "run", "a: 2\n", resume=False)
    assert (tmp_path / "run" / CONFIG).read_text() == "a: 1\n"


def test_resuming_takes_an_existing_run_alone_and_keeps_the_new_config(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no run to resume at .*; leave out --resume"):
        RunFolder.create(tmp_path / "run", "a: 1\n", resume=True)
    assert not (tmp_path / "run").exists()
    RunFolder.create(tmp_path / "run", "a: 1\n", resume=False)
    RunFolder.create(tmp_path / "run", "a: 2\n", resume=True)
    assert (tmp_path / "run" / CONFIG).read_text() == "a: 2\n"


def test_history_is_a_line_a_record_and_tensorboard_has_its_numbers(tmp_path: Path) -> None:
    records = [
        {"epoch": 1, "training": {"loss": 0.5, "seconds": 2.0}},
        {"epoch": 2, "training": {"loss": 0.25, "seconds": 1.0}},
        {"epoch": 2, "validation": {"recall@20": 0.125}},
    ]
    folder = RunFolder(tmp_path, active=True)
    for record in records:
        folder.log(record)
    folder.close()
    assert _history(tmp_path) == records
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in board.Scalars("training/loss")] == [(1, 0.5), (2, 0.25)]
    assert [(event.step, event.value) for event in board.Scalars("validation/recall@20")] == [(2, 0.125)]
    assert set(board.Tags()["scalars"]) == {"training/loss", "training/seconds", "validation/recall@20"}


def test_forgetting_drops_later_epochs_alone(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, active=True)
    folder.forget_after(0)  # nothing was written yet
    for epoch in (1, 2, 3):
        folder.log({"epoch": epoch, "loss": 1 / epoch})
    folder.forget_after(2)
    folder.log({"epoch": 3, "loss": 0.0})
    folder.close()
    assert [(record["epoch"], record["loss"]) for record in _history(tmp_path)] == [(1, 1.0), (2, 0.5), (3, 0.0)]


def test_an_inactive_folder_writes_nothing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, active=False)
    folder.log({"epoch": 1, "loss": 1.0})
    folder.write_metrics({"test": {}})
    folder.forget_after(0)
    folder.close()
    assert list(tmp_path.iterdir()) == []


def test_metrics_keep_every_digit(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, active=True)
    folder.write_metrics({"test": {"recall@20": 0.1 + 0.2}, "best_epoch": 3})
    folder.close()
    assert json.loads((tmp_path / METRICS).read_text()) == {"test": {"recall@20": 0.1 + 0.2}, "best_epoch": 3}


def test_an_interrupted_write_leaves_the_old_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_atomically(tmp_path / "file", "old")

    def killed(self: Path, text: str) -> int:
        with self.open("w") as file:
            file.write(text[:1])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"


def _history(path: Path) -> list[dict]:
    return [json.loads(line) for line in (path / HISTORY).read_text().splitlines()]
