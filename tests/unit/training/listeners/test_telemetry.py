"""What a run measures of itself: readings add up to the totals, and bytes are those that really travel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dualgnn_dist.base.batch import Batch
from dualgnn_dist.base.config import flat
from dualgnn_dist.base.world import World
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.host import Host
from dualgnn_dist.training.listeners import telemetry
from dualgnn_dist.training.listeners.telemetry import METRICS, Listener, Meter, Reading, Totals, metric_of
from dualgnn_dist.training.listeners.tensorboard import TensorBoard
from dualgnn_dist.training.load import load
from dualgnn_dist.training.trainer import Trainer


class Ear(Listener):
    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.epochs: list[tuple[int, dict[str, float]]] = []

    def hear(self, reading: Reading) -> None:
        self.readings.append(reading)

    def hear_epoch(self, epoch: int, values: Any) -> None:
        self.epochs.append((epoch, dict(values)))


def make_config(store: Store, output: Path) -> RunConfig:
    values = {
        "data": {"store": str(store.path)},
        "model": {"name": "dualgnn", "width": 4},
        "sampler": {"batch_size": 64, "fanouts": [3, 2]},
        "train": {"epochs": 2, "eval_every": 1, "patience": None},
        "run": {"name": "run", "output": str(output)},
    }
    path = output / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    return load(path)


def train_and_listen(world: World, config: RunConfig) -> dict[str, Any]:
    """Trains; what was reported, and what passed through the all-to-all in its steps."""
    moved = {"ids": 0, "values_received": 0, "values_sent": 0}
    whole = dist.all_to_all_single

    def watched(received: torch.Tensor, sent: torch.Tensor, *lengths: Any) -> Any:
        if lengths and sent.dtype == torch.int64:
            moved["ids"] += sent.nbytes
        elif lengths:
            moved["values_received"] += received.nbytes
            moved["values_sent"] += sent.nbytes
        return whole(received, sent, *lengths)

    ear = Ear()
    trainer = Trainer.build(config, Store.open(config.data.store), Host(world, listeners=[ear]))
    step = trainer.train_step

    def watched_step(batch: Batch) -> torch.Tensor:  # inference exchanges rows too, and is not measured
        dist.all_to_all_single = watched
        try:
            return step(batch)
        finally:
            dist.all_to_all_single = whole

    trainer.train_step = watched_step  # type: ignore[method-assign]
    trainer.train()
    counts: dict[str, float] = {}
    for reading in ear.readings:
        for name, count in reading.counts.items():
            counts[name] = counts.get(name, 0) + count
    steps = sum(reading.num_steps for reading in ear.readings)
    return {
        "moved": moved,
        "counts": counts,
        "steps": steps,
        "gauges": dict(ear.readings[-1].gauges),
        "epochs": ear.epochs,
        "seen": sum(len(trainer.loader.triples(e, s)[0]) for e in range(2) for s in range(trainer.loader.num_steps)),
        "num_steps": trainer.loader.num_steps,
    }


def bytes_of(counts: dict[str, float], name: str) -> float:
    return sum(count for key, count in counts.items() if key.startswith(f"{name}/"))


def test_the_bytes_are_those_that_travel(
    demo_store: Store, tmp_path: Path, run_workers: Callable[..., list[Any]]
) -> None:
    results = run_workers(train_and_listen, 2, make_config(demo_store, tmp_path))
    for result in results:
        counts, moved = result["counts"], result["moved"]
        assert bytes_of(counts, "request_bytes") == moved["ids"] > 0
        assert bytes_of(counts, "other_rows") * torch.int64.itemsize == moved["ids"]
        assert result["steps"] == 2 * result["num_steps"]
        assert counts["interactions"] == result["seen"]
    # A worker receives what it fetches and the gradients that others return; over all workers each is counted once.
    for direction in ("values_received", "values_sent"):
        total = sum(result["moved"][direction] for result in results)
        said = sum(bytes_of(r["counts"], "fetch_bytes") + bytes_of(r["counts"], "return_bytes") for r in results)
        assert said == total > 0
    for mine, other in (results, results[::-1]):
        assert bytes_of(mine["counts"], "served_rows") == bytes_of(other["counts"], "other_rows")


def test_one_worker_moves_nothing_and_says_every_metric(demo_store: Store, tmp_path: Path) -> None:
    result = train_and_listen(World(), make_config(demo_store, tmp_path))
    counts = result["counts"]
    assert {bytes_of(counts, name) for name in ("request_bytes", "fetch_bytes", "return_bytes", "other_rows")} == {0}
    assert bytes_of(counts, "own_rows") > 0
    assert counts["interactions"] == result["seen"]
    said = {name.partition("/")[0] for name in [*counts, *result["gauges"], "step_seconds"]}
    assert said == METRICS.keys() - {"validation"}
    assert result["gauges"]["progress"] == 1.0 and result["gauges"]["epoch"] == 2.0
    assert [(epoch, {*values} >= {"validation/recall@20"}) for epoch, values in result["epochs"]] == [
        (1, False),
        (1, True),
        (2, False),
        (2, True),
    ]
    assert all(metric_of(name)[0].group == "validation" for name in result["epochs"][1][1])


def test_the_mean_of_the_readings_losses_is_the_epochs(demo_store: Store, tmp_path: Path) -> None:
    ear = Ear()
    trainer = Trainer.build(make_config(demo_store, tmp_path), demo_store, Host(World(), listeners=[ear]))
    trainer.train()
    for reading, (_, values) in zip(ear.readings, ear.epochs[::2], strict=True):
        assert reading.gauges["loss"] == pytest.approx(values["training/loss"], rel=1e-9)


def test_readings_are_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "SECONDS_BETWEEN_READINGS", 0.0)  # one at every step
    ear, done = Ear(), 0

    def measure() -> Totals:
        return Totals(done, done / 4, done / 8, 2.0 * done, {"interactions": 10 * done, "waiting_seconds": 0.0})

    meter = Meter([ear])
    meter.start(measure)
    for done in (1, 2, 3):  # noqa: B007
        meter.step()
    meter.publish()  # nothing is left
    assert [reading.counts["interactions"] for reading in ear.readings] == [10, 10, 10]
    assert [reading.gauges["step"] for reading in ear.readings] == [1, 2, 3]
    assert {reading.gauges["loss"] for reading in ear.readings} == {0.2}


def test_nobody_listens_and_nothing_is_measured() -> None:
    def measure() -> Totals:
        raise AssertionError("measured for nobody")

    meter = Meter([])
    meter.start(measure)
    meter.step()
    meter.publish()


def test_a_slice_may_be_empty() -> None:
    ear = Ear()
    meter = Meter([ear])
    meter.start(lambda: Totals(0, 0.0, 0.0, 0.0, {"interactions": 0, "waiting_seconds": 0.0}))
    meter.step()
    meter.publish()
    assert "loss" not in ear.readings[0].gauges


def test_tensorboard_has_steps_and_settings(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path)
    board.hear(
        Reading(12, 4, {"loss": 0.5, "step": 12.0}, {"fetch_bytes/users": 400}, {"step_seconds": [0.1, 0.3, 0.1, 0.3]})
    )
    board.hear_epoch(3, {"test/recall@20": 0.25})
    board.finish({"model.width": 8, "train.patience": None}, {"recall@20": 0.25})
    board.close()  # only now is everything in the file
    board = EventAccumulator(str(tmp_path))
    board.Reload()
    scalars = {tag: [(e.step, e.value) for e in board.Scalars(tag)] for tag in board.Tags()["scalars"]}
    assert scalars["tables/fetch_bytes/users"] == [(12, 100.0)]
    assert scalars["step/step_seconds"] == [(12, pytest.approx(0.2))]
    assert scalars["test/recall@20"] == [(3, 0.25)]
    (settings,) = (content for tag, content in board.summary_metadata.items() if tag.endswith("session_start_info"))
    assert b"model.width" in settings.plugin_data.content and b"train.patience" in settings.plugin_data.content
    assert scalars.keys() == {"step/loss", "step/step_seconds", "tables/fetch_bytes/users", "test/recall@20"}


def test_settings_by_their_dotted_names() -> None:
    assert flat({"a": {"b": 1, "c": {"d": [2]}}, "e": None, "f": {}}) == {"a.b": 1, "a.c.d": [2], "e": None, "f": {}}
