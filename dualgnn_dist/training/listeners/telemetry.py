"""What a run measures of itself while it trains: the names, and how readings reach those who listen.

The hot path only adds up numbers that are known anyway, where they arise. A `Meter` compares those totals every few
seconds and hands what came of it to every `Listener`; without one it does nothing at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

SECONDS_BETWEEN_READINGS = 5.0


@dataclass(frozen=True)
class Metric:
    """One thing that is measured, by every worker of itself.

    Args:
        kind: a `gauge` is a value now; a `counter` only grows; a `histogram` gathers single values.
        group: what it tells about.
        unit: of the value.
        label: what a value's name goes on with after a slash, where there are several (`fetch_bytes/users`).
    """

    kind: Literal["gauge", "counter", "histogram"]
    group: Literal["step", "sampler", "tables", "validation"]
    unit: str
    description: str
    label: Literal["table", "metric"] | None = None


METRICS: Mapping[str, Metric] = {
    "loss": Metric("gauge", "step", "loss", "Mean loss of the worker's interactions since the last reading"),
    "interactions_per_second": Metric("gauge", "step", "interactions/s", "Training speed since the last reading"),
    "waiting_share": Metric("gauge", "step", "share of the time", "Time spent waiting for batches, of all time"),
    "step": Metric("gauge", "step", "steps", "Steps of the whole run so far"),
    "epoch": Metric("gauge", "step", "epochs", "Epochs so far, with the part of the one that runs"),
    "progress": Metric("gauge", "step", "share of the steps", "How much is done of all epochs that are planned"),
    "step_seconds": Metric("histogram", "step", "seconds", "Seconds of a step, waiting for its batch included"),
    "interactions": Metric("counter", "step", "interactions", "Interactions trained on"),
    "waiting_seconds": Metric("counter", "step", "seconds", "Time spent waiting for batches"),
    "batch_users": Metric("counter", "sampler", "users", "Users in the batches' neighbourhoods"),
    "batch_items": Metric("counter", "sampler", "items", "Items in the batches' neighbourhoods"),
    "batch_edges": Metric("counter", "sampler", "edges", "Sampled edges, both directions of every hop"),
    "own_rows": Metric("counter", "tables", "rows", "Distinct rows of a step that the worker owns", "table"),
    "other_rows": Metric("counter", "tables", "rows", "Distinct rows of a step that other workers own", "table"),
    "served_rows": Metric("counter", "tables", "rows", "Rows of this worker that others asked for", "table"),
    "request_bytes": Metric("counter", "tables", "bytes", "Row ids sent to the rows' owners", "table"),
    "fetch_bytes": Metric("counter", "tables", "bytes", "Row values received from their owners", "table"),
    "return_bytes": Metric("counter", "tables", "bytes", "Gradients sent to the rows' owners", "table"),
    "validation": Metric("gauge", "validation", "", "Value of a validation metric, of all users", "metric"),
}


def metric_of(name: str) -> tuple[Metric, str]:
    """The metric of `name` or `name/label`, and the label's value or an empty text."""
    base, _, label = name.partition("/")
    return METRICS[base], label


@dataclass(frozen=True)
class Totals:
    """Where a worker stands. All but the position counts up from wherever it began.

    Args:
        step, epoch, progress: of the whole run so far; the epoch with a fraction, the progress as a share.
        loss_sum: of this worker's interactions.
        counts: counters by `name` or `name/label`.
    """

    step: int
    epoch: float
    progress: float
    loss_sum: float
    counts: Mapping[str, float]


@dataclass(frozen=True)
class Reading:
    """What a worker measured since its last reading.

    Args:
        step: steps of the whole run so far.
        num_steps: those that the reading is about.
        gauges: values, by `name` or `name/label` as in `METRICS`.
        counts: by how much each counter grew.
        observations: single values of each histogram.
    """

    step: int
    num_steps: int
    gauges: Mapping[str, float]
    counts: Mapping[str, float] = field(default_factory=dict)
    observations: Mapping[str, Sequence[float]] = field(default_factory=dict)


class Listener:
    """Takes what a run says about itself; this one takes no notice."""

    def hear(self, reading: Reading) -> None:
        """A reading, seconds after the last one."""

    def hear_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Values of a finished epoch: `training/loss`, `validation/recall@20`, `test/ndcg@20`."""


class Meter:
    """Hands readings to `listeners`, at the most every few seconds and once at the end of an epoch.

    Without listeners it does nothing.
    """

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners
        self._started = self._last_step = 0.0
        self._step_seconds: list[float] = []

    def start(self, measure: Callable[[], Totals]) -> None:
        """An epoch begins: what is measured from now on belongs to the next reading.

        Args:
            measure: gives the totals. It may wait for the device, so it is called for a reading only.
        """
        if self._listeners:
            self._measure = measure
            self._begin(measure())

    def step(self) -> None:
        """A step is done."""
        if not self._listeners:
            return
        now = time.perf_counter()
        self._step_seconds.append(now - self._last_step)
        self._last_step = now
        if now - self._started >= SECONDS_BETWEEN_READINGS:
            self.publish()

    def publish(self) -> None:
        """Hands out a reading of all steps since the last one, if there are any."""
        if not self._listeners or not self._step_seconds:
            return
        now, before = self._measure(), self._before
        counts = {name: total - before.counts[name] for name, total in now.counts.items()}
        seconds = self._last_step - self._started
        gauges = {
            "step": float(now.step),
            "epoch": now.epoch,
            "progress": now.progress,
            "interactions_per_second": counts["interactions"] / seconds,
            "waiting_share": counts["waiting_seconds"] / seconds,
        }
        if counts["interactions"]:  # a worker's slice of the last batch of an epoch may be empty
            gauges["loss"] = (now.loss_sum - before.loss_sum) / counts["interactions"]
        observations = {"step_seconds": self._step_seconds}
        reading = Reading(now.step, len(self._step_seconds), gauges, counts, observations)
        for listener in self._listeners:
            listener.hear(reading)
        self._begin(now)

    def end_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Passes on values of a finished epoch."""
        for listener in self._listeners:
            listener.hear_epoch(epoch, values)

    def _begin(self, totals: Totals) -> None:
        self._before = totals
        self._started = self._last_step = time.perf_counter()
        self._step_seconds = []
