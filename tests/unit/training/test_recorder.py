"""What a run says of itself: its history, which a resumed run goes on with, and TensorBoard; rank 0 alone writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.load import load
from dualgnn_dist.training.progress import Progress
from dualgnn_dist.training.recorder import Recorder
from dualgnn_dist.training.run_folder import CONFIG, HISTORY
from dualgnn_dist.training.trainer import Trainer


@pytest.fixture
def recorder(demo_store: Store, tmp_path: Path) -> Recorder:
    return make_recorder(demo_store, tmp_path, World())


def make_recorder(store: Store, tmp_path: Path, world: World) -> Recorder:
    """That of a run in the folder `run`."""
    values = {
        "data": {"store": str(store.path)},
        "model": {"name": "bpr_mf", "width": 4},
        "sampler": {"batch_size": 64},
        "train": {"epochs": 4, "metric": "recall@5"},
        "run": {"name": "run", "output": str(tmp_path)},
    }
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / CONFIG).write_text(yaml.safe_dump(values))
    config = load(tmp_path / "run" / CONFIG)
    loader = Trainer.build(config, store, Host()).loader
    return Recorder(config.run.folder, config, loader, {}, Host(world))


def lines(tmp_path: Path) -> list[dict]:
    return [json.loads(line) for line in (tmp_path / "run" / HISTORY).read_text().splitlines()]


VALUES = {"recall@5": 0.25, "ndcg@5": 0.125}


def test_history_and_tensorboard(recorder: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorder.validated(Progress(epoch=1), VALUES, is_best=True)
    recorder.validated(Progress(epoch=2), {name: value / 2 for name, value in VALUES.items()}, is_best=False)
    recorder.tested(Progress(epoch=2, best_epoch=1), {"recall@5": 0.5})
    recorder.close()
    assert [(line["epoch"], line["validation"]["recall@5"]) for line in lines(tmp_path)] == [(1, 0.25), (2, 0.125)]
    first, second = capsys.readouterr().out.splitlines()
    assert first == "epoch 1  validation  recall@5 0.2500  ndcg@5 0.1250  best so far"
    assert second == "epoch 2  validation  recall@5 0.1250  ndcg@5 0.0625"
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    board.Reload()
    assert set(board.Tags()["scalars"]) == {"validation/recall@5", "validation/ndcg@5", "test/recall@5"}
    assert [(event.step, event.value) for event in board.Scalars("validation/recall@5")] == [(1, 0.25), (2, 0.125)]
    assert [(event.step, event.value) for event in board.Scalars("test/recall@5")] == [(1, 0.5)]


def test_a_resumed_run_forgets_what_it_makes_anew(recorder: Recorder, tmp_path: Path) -> None:
    recorder.resumed(None, Progress())  # nothing yet
    assert not (tmp_path / "run" / HISTORY).exists()
    for epoch in (1, 2, 3, 4):
        recorder.validated(Progress(epoch=epoch), VALUES, is_best=False)
    with (tmp_path / "run" / HISTORY).open("a") as file:
        file.write('{"epoch": 5, "validat')  # the line during which the run was killed
    recorder.resumed(tmp_path / "checkpoint", Progress(epoch=2))
    recorder.validated(Progress(epoch=3), {name: 0.0 for name in VALUES}, is_best=False)
    recorder.close()
    assert [(line["epoch"], line["validation"]["recall@5"]) for line in lines(tmp_path)] == [
        (1, 0.25),
        (2, 0.25),
        (3, 0),
    ]


def test_other_ranks_write_and_say_nothing(
    demo_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = make_recorder(demo_store, tmp_path, World(rank=1, size=2))
    (tmp_path / "run" / HISTORY).write_text('{"epoch": 9}\n')
    recorder.resumed(tmp_path / "checkpoint", Progress(epoch=1))
    recorder.validated(Progress(epoch=1), VALUES, is_best=True)
    recorder.tested(Progress(best_epoch=1), {"recall@5": 0.5})
    recorder.close()
    assert {file.name for file in (tmp_path / "run").iterdir()} == {CONFIG, HISTORY}
    assert lines(tmp_path) == [{"epoch": 9}] and capsys.readouterr().out == ""
