"""Figures and tables as the pages write them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"

MODELS = {
    "dualgnn": "DualGNN",
    "lightgcn": "LightGCN",
    "lr_gccf": "LR-GCCF",
    "bpr_mf": "BPR-MF",
    "vbpr": "VBPR",
    "mmgcn": "MMGCN",
    "star_gcn": "STAR-GCN",
}


def result(name: str) -> dict[str, Any]:
    """The measurement that `benchmarks/results/<name>.json` holds."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def sourced(text: str, *names: str) -> str:
    """A table with a line under it that says which files it comes from, and when they were measured."""
    files = ", ".join(f"`{name}.json`" for name in names)
    dates = ", ".join(sorted({measured_on(name) for name in names}))
    return f"{text}\n\nFrom {files} in `benchmarks/results/`, measured on {dates}."


def measured_on(name: str) -> str:
    """The day of a measurement, ISO 8601."""
    values = result(name)
    return values["hardware"]["date"] if "hardware" in values else values["date"]


def metric(value: float) -> str:
    """A metric below 1, four digits: `.0919`."""
    return f"{value:.4f}".lstrip("0")


def spread(row: dict[str, Any], name: str) -> str:
    """A metric's mean with its standard deviation over seeds, where there are several."""
    return metric(row[name]) + (f" ± {metric(row[f'± {name}'])}" if row["seeds"] > 1 else "")


def seconds(value: float) -> str:
    """A duration in seconds: three digits below 0.1, two below 1, one above."""
    digits = 3 if value < 0.1 else 2 if value < 1 else 1
    return f"{value:.{digits}f} s"


def milliseconds(value: float) -> str:
    """A duration given in milliseconds: one digit below 20, none above."""
    return f"{value:.1f} ms" if value < 20 else f"{value:.0f} ms"


def short(count: float) -> str:
    """A count: `10 M`, `175 k`, `512`."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= size:
            return f"{count / size:.1f}".removesuffix(".0") + unit if count < 10 * size else f"{count / size:.0f}{unit}"
    return f"{count:.0f}"


def percent(share: float) -> str:
    """A share of 1: `95 %`."""
    return f"{share * 100:.0f} %"
