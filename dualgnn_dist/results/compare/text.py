"""A comparison in words: the cells of its table, the notes that belong under it, and everything as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from dualgnn_dist.base.config import plain
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import TextTable
from dualgnn_dist.base.storage.files import write_atomically, writing_to
from dualgnn_dist.base.storage.remote import is_url
from dualgnn_dist.results import figures
from dualgnn_dist.results.compare.comparison import Comparison, Row, settings_of
from dualgnn_dist.results.compare.paired_tests import Measured
from dualgnn_dist.results.finished_run import FinishedRun
from dualgnn_dist.training.run_folder import CONFIG

_HEADINGS = ("model", "seeds", "mean ± sd", "difference [95 %]", "p (t)", "p (Wilcoxon)")


def table_of(comparison: Comparison) -> TextTable:
    """A section a metric, a row a model."""
    return TextTable(
        _HEADINGS,
        {metric: [_cells(row, metric, comparison) for row in comparison.rows] for metric in comparison.metrics},
    )


def notes(comparison: Comparison) -> list[str]:
    """What a reader must know of the numbers."""
    lines = [_what_was_ranked(comparison), _how_sure(comparison)]
    others = len(comparison.rows) - 1
    if not others:
        return [*lines, "There is one row, so nothing is tested."]
    lines.append(
        f"Differences are to {comparison.baseline}, paired over users: a user's value is the mean over the row's "
        "seeds. Users are the unit of the tests, so seed-to-seed variance is not in them. In brackets the 95 % "
        "interval over users (Student's t), of each difference by itself."
    )
    lines.append(
        f"p is Holm-corrected over {others} comparison{'s' if others > 1 else ''} (the rows), for each metric and each "
        "test by itself: the paired t-test, and Wilcoxon's signed-rank test, which leaves out users without a "
        "difference."
    )
    if comparison.baseline_is_best:
        lines.append(
            f"The baseline was chosen for being the best here by {comparison.metrics[0]}, which flatters it; "
            "--baseline names one in advance."
        )
    return lines


def _what_was_ranked(comparison: Comparison) -> str:
    of_what = "all items" if comparison.candidates == "all" else f"the {comparison.candidates} items alone"
    return (
        f"Full ranking of {of_what}, {comparison.split} split of {comparison.store.path}, {comparison.num_users:,} "
        f"users; NDCG convention: {comparison.convention}."
    )


def _how_sure(comparison: Comparison) -> str:
    num_single = sum(len(row.group.runs) == 1 for row in comparison.rows)
    alone = f" {num_single} of {len(comparison.rows)} rows have one seed: how another would differ is not known there."
    return f"Mean and standard deviation (n - 1) are over seeds.{alone if num_single else ''}"


def as_json(comparison: Comparison, lines: Sequence[str]) -> dict[str, Any]:
    """Everything in full precision."""
    facts = {"split": comparison.split, "candidates": comparison.candidates, "num_users": comparison.num_users}
    store = {"path": str(comparison.store.path), "fingerprint": comparison.store.manifest.fingerprint}
    rows = [
        {
            "label": row.group.label,
            "seeds": [run.config.run.seed for run in row.group.runs],
            "runs": [str(run.folder) for run in row.group.runs],
            "settings": settings_of(row.group.runs[0]),
            "metrics": plain(row.metrics),
        }
        for row in comparison.rows
    ]
    return {
        **facts,
        "ndcg_convention": comparison.convention,
        "store": store,
        "baseline": comparison.baseline,
        "baseline_chosen_by_result": comparison.baseline_is_best,
        "holm_over": len(rows) - 1,
        "notes": list(lines),
        "rows": rows,
    }


def _cells(row: Row, metric: str, comparison: Comparison) -> tuple[str, ...]:
    measured = row.metrics[metric]
    first = (row.group.label, str(len(measured.seeds)), _mean(measured))
    test, p_t, p_wilcoxon = measured.against, measured.p_t_holm, measured.p_wilcoxon_holm
    if test is None or p_t is None or p_wilcoxon is None:
        return (*first, "baseline" if len(comparison.rows) > 1 else "", "", "")
    interval = f"[{short(test.low, '+')}, {short(test.high, '+')}]"
    return (*first, f"{short(test.difference, '+')} {interval}", p_value(p_t), p_value(p_wilcoxon))


def _mean(measured: Measured) -> str:
    return short(measured.mean) + ("" if measured.deviation is None else f" ± {short(measured.deviation)}")


def short(value: float, sign: str = "") -> str:
    """`.0893`, `-.0012`: four places, without the zero before the point."""
    return f"{value:{sign}.4f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:{sign}.4f}"


def p_value(p: float) -> str:
    """Four places; `<.0001` below."""
    return short(p) if p >= 1e-4 else "<.0001"


def folder_for(places: Sequence[str], runs: Sequence[FinishedRun], asked: str | None) -> Path:
    """Where a comparison of runs is written: where it was asked for, or beside the runs; runs at URLs lie nowhere here.

    Raises:
        UserError: it was asked for in the folder of a run, whose files it could replace.
    """
    beside = Path.cwd() if any(map(is_url, places)) else Path(os.path.commonpath([run.folder.parent for run in runs]))
    folder = Path(asked or beside / "comparison").absolute()
    if (folder / CONFIG).exists():
        raise UserError(f"{folder} is the folder of a run; choose another folder with --output")
    return folder


def write(comparison: Comparison, folder: Path) -> None:
    """Writes `comparison.md`, `.png` and `.json`.

    Raises:
        UserError: they cannot be written there.
    """
    lines = notes(comparison)
    title = f"{', '.join(comparison.metrics)} on {comparison.store.path.name}"
    table, listed = table_of(comparison).markdown(), "\n".join(f"- {line}" for line in lines)
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "comparison.md", f"# {title}\n\n{table}\n{listed}\n")
        write_atomically(folder / "comparison.json", json.dumps(as_json(comparison, lines), indent=1) + "\n")
        figures.comparison(folder / "comparison.png", title, _measurements(comparison), _caption(comparison))


def show(comparison: Comparison, folder: Path, console: Console) -> None:
    """Prints the table, the notes below it and where both lie."""
    table_of(comparison).show(console)
    for note in notes(comparison):
        console.print(f"- {note}")
    console.print(f"comparison: {folder}", soft_wrap=True)


def _measurements(comparison: Comparison) -> list[figures.Measurements]:
    labels = [row.group.label for row in comparison.rows]
    measurements = []
    for metric in comparison.metrics:
        of_rows = [row.metrics[metric] for row in comparison.rows]
        seeds, means = [measured.seeds for measured in of_rows], [_mean(measured) for measured in of_rows]
        measurements.append(figures.Measurements(metric, labels, seeds, means, labels.index(comparison.baseline)))
    return measurements


def _caption(comparison: Comparison) -> str:
    """Of the picture, which shows means and seeds; differences and their tests are in the table."""
    dots = "Dots are seeds, bars their means, lines one standard deviation; grey is the baseline."
    return f"{_what_was_ranked(comparison)} {_how_sure(comparison)} {dots}"
