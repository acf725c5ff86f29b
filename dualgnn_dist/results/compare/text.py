"""A comparison in words: the cells of its table, the notes that belong under it, and everything as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dualgnn_dist.base.config import plain
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.files import write_atomically
from dualgnn_dist.base.screen import TextTable
from dualgnn_dist.results import figures
from dualgnn_dist.results.compare.comparison import Comparison, Row, settings_of

_HEADINGS = ("model", "seeds", "mean ± sd", "difference [95 %]", "p (t)", "p (Wilcoxon)")


def table_of(found: Comparison) -> TextTable:
    """A section a metric, a row a model."""
    return TextTable(
        _HEADINGS, {metric: [_cells(row, metric, found) for row in found.rows] for metric in found.metrics}
    )


def notes(found: Comparison) -> list[str]:
    """What a reader must know of the numbers."""
    of_what = "all items" if found.candidates == "all" else f"the {found.candidates} items alone"
    said = [
        f"Full ranking of {of_what}, {found.split} split of {found.store.path}, {found.num_users:,} users; NDCG "
        f"convention: {found.convention}."
    ]
    single = sum(len(row.group.runs) == 1 for row in found.rows)
    alone = f" {single} of {len(found.rows)} rows have one seed: how another would differ is not known there."
    said.append(f"Mean and standard deviation (n - 1) are over seeds.{alone if single else ''}")
    others = len(found.rows) - 1
    if not others:
        return [*said, "There is one row, so nothing is tested."]
    said.append(
        f"Differences are to {found.baseline}, paired over users: a user's value is the mean over the row's seeds. "
        "Users are the unit of the tests, so seed-to-seed variance is not in them. In brackets the 95 % interval over "
        "users (Student's t), of each difference by itself."
    )
    said.append(
        f"p is Holm-corrected over {others} comparison{'s' if others > 1 else ''} (the rows), for each metric and each "
        "test by itself: the paired t-test, and Wilcoxon's signed-rank test, which leaves out users without a "
        "difference."
    )
    if found.chosen:
        said.append(
            f"The baseline was chosen for being the best here by {found.metrics[0]}, which flatters it; --baseline "
            "names one in advance."
        )
    return said


def as_json(found: Comparison, said: Sequence[str]) -> dict[str, Any]:
    """Everything in full precision."""
    facts = {"split": found.split, "candidates": found.candidates, "num_users": found.num_users}
    store = {"path": str(found.store.path), "fingerprint": found.store.manifest.fingerprint}
    rows = [
        {
            "label": row.group.label,
            "seeds": [run.config.run.seed for run in row.group.runs],
            "runs": [str(run.folder) for run in row.group.runs],
            "settings": settings_of(row.group.runs[0]),
            "metrics": plain(row.metrics),
        }
        for row in found.rows
    ]
    return {
        **facts,
        "ndcg_convention": found.convention,
        "store": store,
        "baseline": found.baseline,
        "baseline_chosen_by_result": found.chosen,
        "holm_over": len(rows) - 1,
        "notes": list(said),
        "rows": rows,
    }


def _cells(row: Row, metric: str, found: Comparison) -> tuple[str, ...]:
    measured = row.metrics[metric]
    spread = "" if measured.deviation is None else f" ± {short(measured.deviation)}"
    first = (row.group.label, str(len(measured.seeds)), f"{short(measured.mean)}{spread}")
    test, p_t, p_wilcoxon = measured.against, measured.p_t_holm, measured.p_wilcoxon_holm
    if test is None or p_t is None or p_wilcoxon is None:
        return (*first, "baseline" if len(found.rows) > 1 else "", "", "")
    interval = f"[{short(test.low, '+')}, {short(test.high, '+')}]"
    return (*first, f"{short(test.difference, '+')} {interval}", p_value(p_t), p_value(p_wilcoxon))


def short(value: float, sign: str = "") -> str:
    """`.0893`, `-.0012`: four places, without the zero before the point."""
    return f"{value:{sign}.4f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:{sign}.4f}"


def p_value(p: float) -> str:
    """Four places; `<.0001` below."""
    return short(p) if p >= 1e-4 else "<.0001"


def write(found: Comparison, folder: Path) -> None:
    """Writes `comparison.md`, `.png` and `.json`."""
    table, said = table_of(found), notes(found)
    title = f"{', '.join(found.metrics)} on {found.store.path.name}"
    labels = [row.group.label for row in found.rows]
    measurements = [
        figures.Measurements(
            metric, labels, [row.metrics[metric].seeds for row in found.rows], labels.index(found.baseline)
        )
        for metric in found.metrics
    ]
    dots = "Dots are seeds, bars their means, lines one standard deviation; grey is the baseline."
    listed = "\n".join(f"- {note}" for note in said)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "comparison.md", f"# {title}\n\n{table.markdown()}\n{listed}\n")
        write_atomically(folder / "comparison.json", json.dumps(as_json(found, said), indent=1) + "\n")
        picture = folder / "comparison.png"
        figures.comparison(picture, title, table.headings, table.sections, measurements, " ".join([*said, dots]))
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}); choose another folder with --output"
        ) from error
