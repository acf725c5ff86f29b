"""The page of one sweep: its trials, what the searched values did, what failed and why, and the winner."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.results.finished_run import FinishedRun, Metrics
from dualgnn_dist.results.finished_sweep import SweepRecord, Winner
from dualgnn_dist.results.report.axes import number
from dualgnn_dist.results.report.blocks import (
    Block,
    Cell,
    Chart,
    Code,
    Facts,
    Folded,
    Grid,
    Note,
    Paragraph,
    Picture,
    Remark,
    Section,
    Table,
)
from dualgnn_dist.results.report.charts import Point, Series, scatter
from dualgnn_dist.results.report.intervals import half_widths
from dualgnn_dist.results.report.page import page
from dualgnn_dist.results.report.run_page import again, metrics_table
from dualgnn_dist.results.report.time_and_memory import spent
from dualgnn_dist.training.sweep.folder import BEST, WINNER, Trial, best_of, may_win

_STATES = ("complete", "stopped", "failed")  # in the order of the table


def sweep_page(sweep: SweepRecord) -> str:
    """The page as HTML."""
    sections = [] if sweep.winner is None else [Section("Test metrics of the winner", _winner(sweep.winner))]
    if sweep.trials:
        sections.append(Section("Best value so far", [Grid(_overview(sweep)), _key_to_dots()]))
        sections.append(Section("The searched parameters", _parameters(sweep)))
    sections.append(Section("Trials", _trials(sweep) if sweep.trials else [Note("No trial has ended yet.")]))
    failed = [trial for trial in sweep.trials if trial.state == "failed"]
    if failed:
        sections.append(Section("Failures", [_failures(failed)]))
    sections.append(Section("Config", _configs(sweep)))
    subtitle = f"sweep of {len(sweep.keys)} parameters by validation {sweep.metric}"
    return page(sweep.folder.name, subtitle, sweep.written, [Facts(_facts(sweep)), *_warnings(sweep)], sections)


def pareto(trials: Sequence[Trial]) -> list[Trial]:
    """The trials than which none is both at least as good and as fast, and better in one; fastest first."""
    front: list[Trial] = []
    for trial in sorted(trials, key=lambda trial: (trial.seconds, -_value(trial))):
        if not front or _value(trial) > _value(front[-1]):
            front.append(trial)
    return front


def _value(trial: Trial) -> float:
    return -math.inf if trial.value is None else trial.value


def _facts(sweep: SweepRecord) -> list[tuple[str, str]]:
    counts = {state: sum(trial.state == state for trial in sweep.trials) for state in _STATES}
    ended = number(len(sweep.trials)) + (f" of {sweep.planned:,}" if sweep.planned else "")
    facts = [("trials ended", ended), *((state, number(count)) for state, count in counts.items())]
    best = best_of(sweep.trials)
    if best is not None and best.value is not None:
        facts += [(f"best {sweep.metric}", f"{best.value:.4f}"), ("by trial", number(best.number))]
    facts.append(("time of all trials", spent(sum(trial.seconds for trial in sweep.trials))))
    return [*facts, ("last written", f"{sweep.written:%Y-%m-%d}")]


def _warnings(sweep: SweepRecord) -> list[Block]:
    notes: list[Block] = []
    if sweep.winner is None:
        notes.append(
            Note(
                f"Unfinished: the winner's test metrics ({WINNER}) are not there. The sweep is still running, or was "
                "stopped; then `tune --resume` goes on with it."
            )
        )
    if sweep.num_damaged:
        lines = "1 line" if sweep.num_damaged == 1 else f"{sweep.num_damaged:,} lines"
        notes.append(Note(f"{lines} of the trials' file cannot be read, perhaps cut off by a kill, and left out."))
    return notes


def _overview(sweep: SweepRecord) -> list[Chart]:
    """Value by trial with the best so far, and value by seconds with the Pareto front."""
    compared = may_win(sweep.trials)
    best, so_far = [], -math.inf
    for trial in compared:
        so_far = max(so_far, _value(trial))
        best.append(so_far)
    trail = Series("best so far", [trial.number for trial in compared], best)
    front = pareto(compared)
    edge = Series("Pareto front", [trial.seconds for trial in front], [_value(trial) for trial in front])
    by_number = [_point(trial, trial.number) for trial in sweep.trials]
    by_seconds = [_point(trial, trial.seconds) for trial in sweep.trials]
    return [
        scatter(f"{sweep.metric} by trial", "trial", by_number, trail if compared else None, whole=True),
        scatter(f"{sweep.metric} by time", "seconds of the trial", by_seconds, edge if compared else None),
    ]


def _parameters(sweep: SweepRecord) -> list[Block]:
    charts = []
    for key in sweep.keys:
        tried = [trial for trial in sweep.trials if key in trial.params]
        values = [trial.params[key] for trial in tried]
        numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
        points = [
            _point(trial, value if numeric else _shown(value)) for trial, value in zip(tried, values, strict=True)
        ]
        whole = numeric and all(isinstance(value, int) for value in values)
        charts.append(scatter(f"{sweep.metric} by {_short(key)}", key, points, whole=whole))
    parts: list[Block] = [Paragraph(f"Validation {sweep.metric} of every trial."), Grid(charts)]
    pictures = [Picture(png, described) for described, png in sweep.pictures.items()]
    return [*parts, Folded("Importance and parallel coordinates", pictures)] if pictures else parts


def _point(trial: Trial, x: float | str) -> Point:
    settings = ", ".join(f"{_short(key)}={_shown(value)}" for key, value in trial.params.items())
    seeds = f" (seeds: {', '.join(map(number, trial.seed_values))})" if len(trial.seed_values) > 1 else ""
    return Point(
        x, trial.value, trial.state, f"trial {trial.number}, {trial.state}: {number(trial.value)}{seeds}; {settings}"
    )


def _key_to_dots() -> Block:
    return Remark(
        "Filled dots ran to their end, hollow ones were stopped early, crosses at the bottom failed. Only trials that "
        "ran to their end can win, where there is one. A touch or the mouse on a dot says which trial it is."
    )


def _trials(sweep: SweepRecord) -> list[Block]:
    order = sorted(sweep.trials, key=lambda trial: (_STATES.index(trial.state), -_value(trial), trial.number))
    rows = [
        [
            Cell(number(trial.number), trial.number),
            Cell("-" if trial.value is None else f"{trial.value:.4f}", trial.value),
            Cell(trial.state, trial.state, "left"),
            *(_parameter(trial.params.get(key)) for key in sweep.keys),
            Cell(number(trial.epochs), trial.epochs),
            Cell(f"{trial.seconds:,.0f}", trial.seconds),
        ]
        for trial in order
    ]
    best = best_of(sweep.trials)
    headings = ["trial", sweep.metric, "state", *map(_short, sweep.keys), "epochs", "seconds"]
    table = Table(headings, rows, sortable=True, best=order.index(best) if best in order else -1)
    return [table, Remark("A click on a heading sorts.")]


def _parameter(value: Any) -> Cell:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return Cell(_shown(value), value if is_number else None if value is None else _shown(value))


def _failures(failed: Sequence[Trial]) -> Block:
    rows = []
    for trial in failed:
        settings = ", ".join(f"{_short(key)}={_shown(value)}" for key, value in trial.params.items())
        rows.append(
            [
                Cell(number(trial.number)),
                Cell(trial.error or "no reason is recorded", kind="long"),
                Cell(settings, kind="left"),
            ]
        )
    return Table(["trial", "reason", "values"], rows)


def _winner(winner: Winner) -> list[Block]:
    half, remark = _half_of(winner)
    users = f"{winner.test['num_users']:,.0f} users" if "num_users" in winner.test else "the users"
    return [
        Paragraph(f"Trial {winner.number}, means over {users}: the test items were ranked once, for this trial."),
        metrics_table(winner.test, half),
        Remark(remark),
        Folded("Its validation metrics", [metrics_table(winner.validation, {})]),
        Remark(f"Curves, times and weights: python -m dualgnn_dist.report --run {winner.run_folder}"),
    ]


def _half_of(winner: Winner) -> tuple[Metrics, str]:
    """Half of the 95 % intervals, where the winner is one run whose vectors are still there; and what to say of it."""
    try:
        run = FinishedRun.read(winner.run_folder)
        candidates = next(iter(run.metrics["test"]))
        if run.metrics["test"][candidates] != winner.test:
            return {}, "Means over several seeds, without confidence intervals."
        store = run.open_store()
        half = half_widths(run, run.learned(store), store)[candidates]
    except UserError as error:
        return {}, f"Without confidence intervals: {error}."
    return (
        half,
        "± is half of the 95 % confidence interval over users; how much another seed would change is not in it.",
    )


def _configs(sweep: SweepRecord) -> list[Block]:
    parts: list[Block] = []
    if sweep.best_config is not None:
        name = f"{sweep.folder.name}_best"
        parts.append(Paragraph("The best trial as a run of its own:"))
        parts.append(Code(again(str(sweep.folder / BEST), name), is_command=True))
        parts.append(Folded(f"The best trial's whole config ({BEST})", [Code(sweep.best_config)]))
    return [*parts, Folded("What was searched (sweep.yaml)", [Code(sweep.text)])]


def _short(key: str) -> str:
    return key.rpartition(".")[2]


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return number(value)
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
