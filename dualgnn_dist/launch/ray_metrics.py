"""A worker's readings as Ray metrics: every node serves them to Prometheus, under the names of `telemetry.METRICS`."""

from __future__ import annotations

from collections.abc import Mapping

from ray.util.metrics import Counter, Gauge, Histogram

from dualgnn_dist.training.listeners.telemetry import METRICS, Listener, Metric, Reading, metric_of

PREFIX = "dualgnn_"  # Ray puts `ray_` before it, and `_total` behind a counter
# Bounds between which a quantile of the seconds is estimated: a small model's step to a large one's.
_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class RayMetrics(Listener):
    """Records what a worker measures, with tags that say whose it is. Make it in the worker.

    Args:
        run, model: names; `rank` of the worker.
    """

    def __init__(self, run: str, model: str, rank: int) -> None:
        self._tags = {"run": run, "model": model, "rank": str(rank)}
        self._metrics = {name: self._make(name, metric) for name, metric in METRICS.items()}
        self._gauges: dict[str, float] = {}

    def hear(self, reading: Reading) -> None:
        """Records a reading."""
        self._gauges.update(reading.gauges)
        for name, value in self._gauges.items():  # all of them: an agent forgets what it is not told for seconds
            self._of(name).set(value, self._labels(name))
        for name, count in reading.counts.items():
            if count > 0:  # Ray refuses to count nothing
                self._of(name).inc(count, self._labels(name))
        for name, values in reading.observations.items():
            for value in values:
                self._of(name).observe(value, self._labels(name))

    def hear_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Records validation metrics; readings say the rest sooner."""
        for name, value in values.items():
            if name.startswith("validation/"):
                self._gauges[name] = float(value)
                self._of(name).set(float(value), self._labels(name))

    def _make(self, name: str, metric: Metric) -> Counter | Gauge | Histogram:
        keys = (*self._tags, *([metric.label] if metric.label else []))
        description = f"{metric.description} [{metric.unit}]" if metric.unit else metric.description
        if metric.kind == "histogram":
            made = Histogram(PREFIX + name, description, boundaries=[*_SECONDS], tag_keys=keys)
        else:
            made = (Counter if metric.kind == "counter" else Gauge)(PREFIX + name, description, tag_keys=keys)
        return made.set_default_tags(self._tags)

    def _of(self, name: str) -> Counter | Gauge | Histogram:
        return self._metrics[name.partition("/")[0]]

    def _labels(self, name: str) -> dict[str, str] | None:
        metric, label = metric_of(name)
        return {metric.label: label} if metric.label else None
