"""The page of one sweep: its trials, what the searched values did, what failed and why, and the winner."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.results.finished_run import read_learned, read_run
from dualgnn_dist.results.finished_sweep import SweepFiles, Winner
from dualgnn_dist.results.report import page
from dualgnn_dist.results.report.axes import number
from dualgnn_dist.results.report.charts import Point, Series, scatter
from dualgnn_dist.results.report.intervals import half_widths
from dualgnn_dist.results.report.markup import Html
from dualgnn_dist.results.report.page import Cell
from dualgnn_dist.results.report.run_page import again, metrics_table
from dualgnn_dist.results.report.time_and_memory import spent
from dualgnn_dist.results.run_files import Record
from dualgnn_dist.training.sweep.folder import BEST, WINNER, Trial, best_of

Section = tuple[str, Sequence[str]]
_STATES = ("complete", "stopped", "failed")  # in the order of the table


def sweep_page(files: SweepFiles) -> str:
    """The page as HTML."""
    if not files.trials:
        sections: list[Section] = [("Trials", [page.note("No trial has ended yet.")])]
    else:
        sections = [
            ("Best value so far", [page.grid(_overview(files)), _key_to_dots()]),
            ("The searched parameters", _parameters(files)),
            ("Trials", _trials(files)),
        ]
        failed = [trial for trial in files.trials if trial.state == "failed"]
        if failed:
            sections.append(("Failures", [_failures(failed)]))
    if files.winner is not None:
        sections.insert(0, ("Test metrics of the winner", _winner(files, files.winner)))
    sections.append(("Config", _configs(files)))
    subtitle = f"sweep of {len(files.keys)} parameters by validation {files.metric}"
    return page.page(
        files.folder.name, subtitle, files.written, [page.facts(_facts(files)), *_warnings(files)], sections
    )


def pareto(trials: Sequence[Trial]) -> list[Trial]:
    """The trials than which none is both at least as good and as fast, and better in one; fastest first."""
    front: list[Trial] = []
    for trial in sorted(trials, key=lambda trial: (trial.seconds, -_value(trial))):
        if not front or _value(trial) > _value(front[-1]):
            front.append(trial)
    return front


def _value(trial: Trial) -> float:
    return -math.inf if trial.value is None else trial.value


def _compared(files: SweepFiles) -> list[Trial]:
    """The trials that may win: those that ran to their end, or else the stopped ones."""
    measured = [trial for trial in files.trials if trial.value is not None and trial.state != "failed"]
    return [trial for trial in measured if trial.state == "complete"] or measured


def _facts(files: SweepFiles) -> list[tuple[str, str]]:
    counts = {state: sum(trial.state == state for trial in files.trials) for state in _STATES}
    ended = number(len(files.trials)) + (f" of {files.planned:,}" if files.planned else "")
    found = [("trials ended", ended), *((state, number(count)) for state, count in counts.items())]
    best = best_of(files.trials)
    if best is not None and best.value is not None:
        found += [(f"best {files.metric}", f"{best.value:.4f}"), ("by trial", number(best.number))]
    found.append(("time of all trials", spent(sum(trial.seconds for trial in files.trials))))
    return [*found, ("last written", f"{files.written:%Y-%m-%d}")]


def _warnings(files: SweepFiles) -> list[Html]:
    found = []
    if files.winner is None:
        found.append(
            page.note(
                f"Unfinished: the winner's test metrics ({WINNER}) are not there. The sweep is still running, or was "
                "stopped; then `tune --resume` goes on with it."
            )
        )
    if files.num_damaged:
        lines = "1 line" if files.num_damaged == 1 else f"{files.num_damaged:,} lines"
        found.append(page.note(f"{lines} of the trials' file cannot be read, perhaps cut off by a kill, and left out."))
    return found


def _overview(files: SweepFiles) -> list[Html]:
    """Value by trial with the best so far, and value by seconds with the Pareto front."""
    compared = _compared(files)
    best, so_far = [], -math.inf
    for trial in compared:
        so_far = max(so_far, _value(trial))
        best.append(so_far)
    trail = Series("best so far", [trial.number for trial in compared], best)
    front = pareto(compared)
    edge = Series("Pareto front", [trial.seconds for trial in front], [_value(trial) for trial in front])
    by_number = [_point(trial, trial.number) for trial in files.trials]
    by_seconds = [_point(trial, trial.seconds) for trial in files.trials]
    return [
        scatter(f"{files.metric} by trial", "trial", by_number, trail if compared else None, whole=True),
        scatter(f"{files.metric} by time", "seconds of the trial", by_seconds, edge if compared else None),
    ]


def _parameters(files: SweepFiles) -> list[Html]:
    charts = []
    for key in files.keys:
        tried = [trial for trial in files.trials if key in trial.params]
        values = [trial.params[key] for trial in tried]
        numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
        points = [
            _point(trial, value if numeric else _shown(value)) for trial, value in zip(tried, values, strict=True)
        ]
        whole = numeric and all(isinstance(value, int) for value in values)
        charts.append(scatter(f"{files.metric} by {_short(key)}", key, points, whole=whole))
    pictures = [page.picture(png, shown) for shown, png in files.pictures.items()]
    drawn = [page.folded("Importance and parallel coordinates", *pictures)] if pictures else []
    return [page.paragraph(f"Validation {files.metric} of every trial."), page.grid(charts), *drawn]


def _point(trial: Trial, x: float | str) -> Point:
    settings = ", ".join(f"{_short(key)}={_shown(value)}" for key, value in trial.params.items())
    seeds = f" (seeds: {', '.join(map(number, trial.seed_values))})" if len(trial.seed_values) > 1 else ""
    return Point(
        x, trial.value, trial.state, f"trial {trial.number}, {trial.state}: {number(trial.value)}{seeds}; {settings}"
    )


def _key_to_dots() -> Html:
    return page.remark(
        "Filled dots ran to their end, hollow ones were stopped early, crosses at the bottom failed. Only trials that "
        "ran to their end can win, where there is one. A touch or the mouse on a dot says which trial it is."
    )


def _trials(files: SweepFiles) -> list[Html]:
    order = sorted(files.trials, key=lambda trial: (_STATES.index(trial.state), -_value(trial), trial.number))
    rows = [
        [
            Cell(number(trial.number), trial.number),
            Cell("-" if trial.value is None else f"{trial.value:.4f}", trial.value),
            Cell(trial.state, trial.state, "left"),
            *(_parameter(trial.params.get(key)) for key in files.keys),
            Cell(number(trial.epochs), trial.epochs),
            Cell(f"{trial.seconds:,.0f}", trial.seconds),
        ]
        for trial in order
    ]
    best = best_of(files.trials)
    headings = ["trial", files.metric, "state", *map(_short, files.keys), "epochs", "seconds"]
    table = page.table(headings, rows, sortable=True, best=order.index(best) if best in order else -1)
    return [table, page.remark("A click on a heading sorts.")]


def _parameter(value: Any) -> Cell:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return Cell(_shown(value), value if is_number else None if value is None else _shown(value))


def _failures(failed: Sequence[Trial]) -> Html:
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
    return page.table(["trial", "reason", "values"], rows)


def _winner(files: SweepFiles, winner: Winner) -> list[Html]:
    half, said = _half_of(winner)
    users = f"{winner.test['num_users']:,.0f} users" if "num_users" in winner.test else "the users"
    parts = [
        page.paragraph(f"Trial {winner.number}, means over {users}: the test items were ranked once, for this trial."),
        metrics_table(winner.test, half),
        page.remark(said),
        page.folded("Its validation metrics", metrics_table(winner.validation, {})),
    ]
    return [*parts, page.remark(f"Curves, times and weights: python -m dualgnn_dist.report --run {winner.run_folder}")]


def _half_of(winner: Winner) -> tuple[Record, str]:
    """Half of the 95 % intervals, where the winner is one run whose vectors are still there; and what to say of it."""
    try:
        run = read_run(winner.run_folder)
        candidates = next(iter(run.metrics["test"]))
        if run.metrics["test"][candidates] != winner.test:
            return {}, "Means over several seeds, without confidence intervals."
        store = run.open_store()
        half = half_widths(run, read_learned(run, store), store)[candidates]
    except UserError as error:
        return {}, f"Without confidence intervals: {error}."
    return (
        half,
        "± is half of the 95 % confidence interval over users; how much another seed would change is not in it.",
    )


def _configs(files: SweepFiles) -> list[Html]:
    parts = []
    if files.best_config is not None:
        name = f"{files.folder.name}_best"
        parts.append(page.paragraph("The best trial as a run of its own:"))
        parts.append(page.code(again(str(files.folder / BEST), name), is_command=True))
        parts.append(page.folded(f"The best trial's whole config ({BEST})", page.code(files.best_config)))
    return [*parts, page.folded("What was searched (sweep.yaml)", page.code(files.text))]


def _short(key: str) -> str:
    return key.rpartition(".")[2]


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return number(value)
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
