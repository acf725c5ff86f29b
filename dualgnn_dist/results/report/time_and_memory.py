"""Time and memory of a run: where they went."""

from __future__ import annotations

from collections.abc import Mapping

from dualgnn_dist.base.screen import duration
from dualgnn_dist.results.finished_run import FinishedRun
from dualgnn_dist.results.report.blocks import Bar, Bars, Block, Grid, Paragraph, Remark
from dualgnn_dist.results.report.charts import Series, lines, stacked
from dualgnn_dist.results.run_record import RunRecord

_MAX_WORKERS = 16  # bars: beyond, the largest and how many others there are
_GIB = 2**30


def time_spent(record: RunRecord) -> list[Block]:
    """A bar of stages, and the speed of training by epoch."""
    stages = _stages(record)
    parts: list[Block] = []
    if any(stages.values()):
        shown = [(name, seconds, spent(seconds)) for name, seconds in stages.items() if seconds > 0]
        parts.append(stacked(f"{spent(sum(stages.values()))} in all", shown))
    if record.finished is not None and _was_resumed(record.finished.seconds):
        parts.append(
            Remark(
                f"The run was resumed: stages are counted over all its starts, and the last start took "
                f"{spent(record.finished.seconds['total'])}."
            )
        )
    epochs = list(record.training)
    charts = [
        lines(title, "epoch", [Series(title, epochs, [values[key] * scale for values in record.training.values()])])
        for title, key, scale in (
            ("interactions a second", "interactions_per_second", 1),
            ("seconds an epoch", "seconds", 1),
            ("waiting for batches, % of the time", "waiting_share", 100),
        )
        if epochs and all(key in values for values in record.training.values())
    ]
    return [*parts, Grid(charts)] if charts else parts or [Paragraph("Nothing is recorded yet.")]


def memory(run: FinishedRun) -> list[Block]:
    """Peak memory, a bar a worker."""
    peaks = run.peak_memory_bytes
    largest = max(peaks, default=0) or 1
    order = sorted(range(len(peaks)), key=lambda rank: -peaks[rank])[:_MAX_WORKERS]
    rows = [Bar(f"worker {rank}", peaks[rank] / largest, f"{peaks[rank] / _GIB:.2f} GiB") for rank in order]
    parts: list[Block] = [Bars("peak resident memory", rows)]
    if len(peaks) > len(rows):
        smallest = f"the smallest takes {min(peaks) / _GIB:.2f} GiB"
        parts.append(Remark(f"{len(peaks) - len(rows):,} workers with less are left out; {smallest}."))
    return [*parts, Remark("Of the whole process; mapped pages of the store that were resident count too.")]


def total_seconds(seconds: Mapping[str, float]) -> float:
    """Of all starts of a run; its own `total` knows the last one alone."""
    stages = (value for name, value in seconds.items() if name not in ("total", "waiting"))
    return max(seconds.get("total", 0.0), sum(stages))


def spent(seconds: float | None) -> str:
    """A duration with its first digit, however short."""
    if seconds is None:
        return "-"
    return duration(seconds) if seconds >= 10 else f"{seconds:.2g} s"


def _stages(record: RunRecord) -> dict[str, float]:
    """Seconds by stage, none of them inside another. An unfinished run has the epochs' own seconds alone."""
    if record.finished is None:
        epochs = record.training.values()
        seconds = {"training": sum(values.get("seconds", 0.0) for values in epochs)}
        seconds["waiting"] = sum(values.get("seconds", 0.0) * values.get("waiting_share", 0.0) for values in epochs)
    else:
        seconds = dict(record.finished.seconds)
    seconds = {name: max(value, 0.0) for name, value in seconds.items()}
    total, training = seconds.pop("total", 0.0), seconds.pop("training", 0.0)
    waiting = min(seconds.pop("waiting", 0.0), training)
    stages = {"training steps": training - waiting, "waiting for batches": waiting, **seconds}
    return {**stages, "everything else": max(total - sum(stages.values()), 0.0)}


def _was_resumed(seconds: Mapping[str, float]) -> bool:
    return seconds.get("training", 0.0) > seconds.get("total", float("inf"))
