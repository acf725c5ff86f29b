"""Pictures as PNG files from plain data: a table over dot plots, and weights by community. Nothing else draws."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dualgnn_dist.base.files import written_whole

_INK, _FAINT, _RULE = "#222222", "#6b6b6b", "#d9d9d9"
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")  # told apart by colour-blind people too
_DPI = 160
_FONT, _LETTER, _LINE = 9, 0.076, 0.17  # points; inches of a letter and of a line at that size
_LABEL = 38  # letters after which a label goes on in another line
_MARGIN = 0.35


@dataclass(frozen=True)
class Measurements:
    """One metric of every row: its seeds, as dots, and the index of the row that the others are compared with."""

    metric: str
    labels: Sequence[str]
    seeds: Sequence[Sequence[float]]
    baseline: int


def comparison(
    path: Path,
    title: str,
    headings: Sequence[str],
    sections: Mapping[str, Sequence[Sequence[str]]],
    measurements: Sequence[Measurements],
    note: str,
) -> None:
    """Draws a table (see `TextTable`), below it a dot plot for each metric, and the note, into a PNG file."""
    cells = [headings, *(row for rows in sections.values() for row in rows)]
    columns = [
        max(len(line) for row in cells for line in _wrapped(row[place]).split("\n")) for place in range(len(headings))
    ]
    width = max(_LETTER * (sum(columns) + 3 * len(columns)) + 2 * _MARGIN, 8.0)
    table_height = sum(_row_height(row) for row in cells) + 0.4 * len(sections) + 0.1
    plot_height = len(measurements[0].labels) * (0.12 + _row_height(measurements[0].labels)) + 0.4
    note = textwrap.fill(note, int((width - 2 * _MARGIN) / 0.061))
    note_height = 0.16 * (note.count("\n") + 1) + 0.2
    height = 0.6 + table_height + 0.35 + plot_height + 0.55 + note_height
    figure = Figure(figsize=(width, height), facecolor="white")
    _title(figure, title)
    top = height - 0.6
    _draw_table(
        _axes(figure, _MARGIN, top - table_height, width - 2 * _MARGIN, table_height), headings, sections, columns
    )
    label_width = _LETTER * max(len(line) for label in measurements[0].labels for line in _wrapped(label).split("\n"))
    left, bottom, gap = _MARGIN + label_width + 0.15, note_height + 0.55, 0.35
    each = (width - left - _MARGIN - gap * (len(measurements) - 1)) / len(measurements)
    for place, measured in enumerate(measurements):
        axes = _axes(figure, left + place * (each + gap), bottom, each, plot_height)
        _draw_dots(axes, measured, show_labels=place == 0)
    figure.text(_MARGIN / width, note_height / height, note, va="top", fontsize=7.5, color=_FAINT, linespacing=1.35)
    _save(figure, path)


def weights_by_community(
    path: Path, title: str, weights: Mapping[str, np.ndarray], communities: np.ndarray, note: str
) -> None:
    """Draws each modality's weights, float [n], over all users and by community, int [n] from 0, into a PNG file."""
    sizes = np.bincount(communities)
    width = max(8.5, 3.2 + 0.62 * len(sizes))
    each, top, bottom = 1.9, 0.6, 0.95
    height = top + bottom + len(weights) * each + 0.3 * (len(weights) - 1)
    figure = Figure(figsize=(width, height), facecolor="white")
    _title(figure, title)
    low, high = (float(edge(list(weights.values()))) for edge in (np.min, np.max))
    room = 0.05 * (high - low) or 0.05
    for place, (name, values) in enumerate(weights.items()):
        below, colour = height - top - (place + 1) * each - 0.3 * place, _COLOURS[place % len(_COLOURS)]
        overall = _axes(figure, 0.8, below, 1.5, each)
        apart = _axes(figure, 2.45, below, width - 2.45 - _MARGIN, each)
        _draw_histogram(overall, values, colour)
        _draw_boxes(apart, [values[communities == community] for community in range(len(sizes))], colour)
        for axes in (overall, apart):
            axes.set_ylim(low - room, high + room)
            axes.axhline(1 / len(weights), color=_FAINT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        overall.set_ylabel(name, fontsize=10, fontweight="bold", color=colour)
        apart.set_yticklabels([])
        if place == len(weights) - 1:
            overall.set_xlabel("all users", fontsize=_FONT, color=_INK, labelpad=8)
            labels = [f"{community + 1}\n{size:,}" for community, size in enumerate(sizes)]
            apart.set_xticks(range(1, len(sizes) + 1), labels, fontsize=8)
            apart.set_xlabel("community, and its users", fontsize=_FONT, color=_INK)
    figure.text(0.8 / width, 0.1 / height, note, va="bottom", fontsize=7.5, color=_FAINT)
    _save(figure, path)


def _draw_table(
    axes: Axes, headings: Sequence[str], sections: Mapping[str, Sequence[Sequence[str]]], columns: Sequence[int]
) -> None:
    """In inches from the top left; the columns take the width in proportion to their longest lines."""
    axes.set_axis_off()
    width, height = _inches(axes)
    axes.set(xlim=(0, width), ylim=(height, 0))
    share = width / (sum(columns) + 3 * len(columns))
    rights = np.cumsum([(letters + 3) * share for letters in columns])
    places = [0.06, *(rights[1:] - 0.06)]

    def write(row: Sequence[str], top: float, **style: Any) -> None:
        for place, text in enumerate(row):
            middle, side = top + _row_height(row) / 2, "right" if place else "left"
            axes.text(places[place], middle, _wrapped(text), ha=side, va="center", fontsize=_FONT, color=_INK, **style)

    y = 0.0
    axes.plot([0, width], [y, y], color=_INK, linewidth=1.4, clip_on=False)
    write(headings, y, fontweight="bold")
    y += _row_height(headings)
    for title, rows in sections.items():
        axes.plot([0, width], [y, y], color=_INK, linewidth=0.7)
        axes.text(0.06, y + 0.2, title, va="center", fontsize=_FONT, color=_FAINT, style="italic")
        y += 0.36
        for row in rows:
            write(row, y)
            y += _row_height(row)
        y += 0.04
    axes.plot([0, width], [y, y], color=_INK, linewidth=1.4, clip_on=False)


def _draw_dots(axes: Axes, measured: Measurements, show_labels: bool) -> None:
    """Seeds as dots, their mean as a bar, one standard deviation to both sides as a line."""
    rows = np.arange(len(measured.labels))
    axes.axvline(
        float(np.mean(measured.seeds[measured.baseline])), color=_FAINT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1
    )
    for row, seeds in zip(rows, measured.seeds, strict=True):
        colour = _FAINT if row == measured.baseline else _COLOURS[0]
        mean = float(np.mean(seeds))
        if len(seeds) > 1:
            spread = float(np.std(seeds, ddof=1))
            axes.plot([mean - spread, mean + spread], [row, row], color=colour, linewidth=1.2, alpha=0.7, zorder=2)
        axes.plot([mean, mean], [row - 0.24, row + 0.24], color=colour, linewidth=2.4, solid_capstyle="butt", zorder=3)
        axes.scatter(
            seeds, np.full(len(seeds), row), s=26, color=colour, alpha=0.75, edgecolor="white", linewidth=0.6, zorder=4
        )
    labels = [_wrapped(label) for label in measured.labels]
    axes.set_yticks(rows, labels if show_labels else [""] * len(rows), fontsize=_FONT, color=_INK)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.margins(x=0.12)
    axes.locator_params(axis="x", nbins=5)
    axes.ticklabel_format(axis="x", useOffset=False)
    axes.set_title(measured.metric, fontsize=10, fontweight="bold", color=_INK, loc="left")
    _clean(axes, grid="x")


def _draw_histogram(axes: Axes, values: np.ndarray, colour: str) -> None:
    """Lying, so that it shares the boxes' axis; it grows to the left, away from them."""
    axes.hist(values, bins=40, orientation="horizontal", color=colour, alpha=0.75, zorder=2)
    axes.invert_xaxis()
    axes.set_xticks([])
    _clean(axes, grid="y")


def _draw_boxes(axes: Axes, by_community: Sequence[np.ndarray], colour: str) -> None:
    """Quartiles and median; whiskers hold 90 % of the users."""
    axes.boxplot(
        by_community,
        whis=(5, 95),
        widths=0.55,
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": colour, "alpha": 0.35, "edgecolor": colour},
        medianprops={"color": _INK, "linewidth": 1.6},
        whiskerprops={"color": colour},
        capprops={"color": colour},
        zorder=2,
    )
    axes.set_xticklabels([])
    _clean(axes, grid="y")


def _clean(axes: Axes, grid: Literal["x", "y"]) -> None:
    axes.grid(axis=grid, color=_RULE, linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=_INK, labelsize=8)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _title(figure: Figure, title: str) -> None:
    width, height = figure.get_size_inches()
    figure.text(_MARGIN / width, 1 - 0.3 / height, title, va="center", fontsize=12.5, fontweight="bold", color=_INK)


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """At a place in inches from the bottom left."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def _inches(axes: Axes) -> tuple[float, float]:
    figure = axes.get_figure(root=True)
    assert figure is not None
    across, up = figure.get_size_inches()
    place = axes.get_position()
    return across * place.width, up * place.height


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _LABEL, break_long_words=False, break_on_hyphens=False)


def _row_height(row: Sequence[str]) -> float:
    return 0.1 + _LINE * max(_wrapped(text).count("\n") + 1 for text in row)


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI)
