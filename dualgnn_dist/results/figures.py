"""Pictures as PNG files from plain data: dot plots of seeds, and weights by community. Nothing else draws."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dualgnn_dist.base.screen import visible
from dualgnn_dist.base.storage.files import written_whole

_INK, _FAINT, _RULE = "#222222", "#6b6b6b", "#d9d9d9"
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")  # told apart by colour-blind people too
_DPI = 160
_FONT, _SMALL = 9, 7.5  # points
_LABEL = 38  # letters after which a label goes on in another line
_MARGIN = 0.35  # inches around the picture
_LETTERS_AN_INCH = 16.0  # of the small font
_DASHED = (0, (4, 3))


@dataclass(frozen=True)
class Measurements:
    """One metric of every row.

    Args:
        seeds: a value a seed, as dots.
        texts: what stands at each row's mean.
        baseline: the index of the row that the others are compared with.
    """

    metric: str
    labels: Sequence[str]
    seeds: Sequence[Sequence[float]]
    texts: Sequence[str]
    baseline: int


@matplotlib.rc_context({"text.parse_math": False})  # a name may hold a dollar
def comparison(path: Path, title: str, measurements: Sequence[Measurements], note: str) -> None:
    """Draws a dot plot for each metric beside one another, and the note below them, into a PNG file."""
    labels = [_wrapped(visible(label)) for label in measurements[0].labels]
    width = max(8.0, 2.5 + 3.2 * len(measurements))
    height = 1.8 + sum(0.42 + 0.16 * label.count("\n") for label in labels) + _height_of(note, width)
    figure = _figure(width, height, title, note)
    for axes, measured in zip(_rows_of_axes(figure, 1, len(measurements))[0], measurements, strict=True):
        _draw_dots(axes, measured)
        axes.set_yticks(range(len(labels)), [""] * len(labels))
    figure.axes[0].set_yticks(range(len(labels)), labels, fontsize=_FONT, color=_INK)
    _save(figure, path)


@matplotlib.rc_context({"text.parse_math": False})  # a name may hold a dollar
def weights_by_community(
    path: Path, title: str, weights: Mapping[str, np.ndarray], communities: np.ndarray, note: str
) -> None:
    """Draws each modality's weights, float [n], over all users and by community, int [n] from 0, into a PNG file."""
    sizes = np.bincount(communities)
    width = max(8.5, 3.2 + 0.62 * len(sizes))
    figure = _figure(width, 1.6 + 2.1 * len(weights) + _height_of(note, width), title, note)
    low, high = (float(edge(list(weights.values()))) for edge in (np.min, np.max))
    room = 0.05 * (high - low) or 0.05
    rows = _rows_of_axes(figure, len(weights), 2, width_ratios=(1.5, width - 3.2))
    for place, ((overall, apart), (name, values)) in enumerate(zip(rows, weights.items(), strict=True)):
        colour = _COLOURS[place % len(_COLOURS)]
        _draw_histogram(overall, values, colour)
        _draw_boxes(apart, [values[communities == community] for community in range(len(sizes))], colour)
        for axes in (overall, apart):
            axes.set_ylim(low - room, high + room)
            axes.axhline(1 / len(weights), color=_FAINT, linewidth=0.8, linestyle=_DASHED, zorder=1)
        overall.set_ylabel(visible(name), fontsize=10, fontweight="bold", color=colour)
        apart.set_yticklabels([])
    overall, apart = rows[-1]
    overall.set_xlabel("all users", fontsize=_FONT, color=_INK)
    numbers = [f"{community + 1}\n{size:,}" for community, size in enumerate(sizes)]
    apart.set_xticks(range(1, len(sizes) + 1), numbers, fontsize=8)
    apart.set_xlabel("community, and its users", fontsize=_FONT, color=_INK)
    _save(figure, path)


def _draw_dots(axes: Axes, measured: Measurements) -> None:
    """Seeds as dots, their mean as a bar, one standard deviation to both sides as a line, the mean in numbers above."""
    mean_of_baseline = float(np.mean(measured.seeds[measured.baseline]))
    axes.axvline(mean_of_baseline, color=_FAINT, linewidth=0.8, linestyle=_DASHED, zorder=1)
    for row, (seeds, text) in enumerate(zip(measured.seeds, measured.texts, strict=True)):
        colour = _FAINT if row == measured.baseline else _COLOURS[0]
        mean = float(np.mean(seeds))
        if len(seeds) > 1:
            spread = float(np.std(seeds, ddof=1))
            axes.plot([mean - spread, mean + spread], [row, row], color=colour, linewidth=1.2, alpha=0.7, zorder=2)
        axes.plot([mean, mean], [row - 0.22, row + 0.22], color=colour, linewidth=2.4, solid_capstyle="butt", zorder=3)
        axes.scatter(
            seeds, np.full(len(seeds), row), s=26, color=colour, alpha=0.75, edgecolor="white", linewidth=0.6, zorder=4
        )
        # Paper behind the number, so that no line goes through it.
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
        axes.text(mean, row - 0.3, text, ha="center", va="bottom", fontsize=_SMALL, color=_INK, bbox=paper, zorder=5)
    axes.set_ylim(len(measured.seeds) - 0.5, -0.8)
    axes.margins(x=0.2)
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


def _figure(width: float, height: float, title: str, note: str) -> Figure:
    """White paper of so many inches with a title above and a note below; what is drawn gets the room between."""
    figure = Figure(figsize=(width, height), facecolor="white", layout="constrained")
    left, bottom, top = _MARGIN / width, _MARGIN / height, 1 - _MARGIN / height
    figure.text(left, top, visible(title), va="top", fontsize=12.5, fontweight="bold", color=_INK)
    lines = "\n".join(_lines_of(note, width))
    figure.text(left, bottom, lines, va="bottom", fontsize=_SMALL, color=_FAINT, linespacing=1.35)
    drawn_from, drawn_to = (_MARGIN + _height_of(note, width)) / height, 1 - (_MARGIN + 0.4) / height
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.set(rect=(left, drawn_from, 1 - 2 * left, drawn_to - drawn_from))  # type: ignore[call-arg]
    return figure


def _rows_of_axes(
    figure: Figure, rows: int, columns: int, width_ratios: Sequence[float] | None = None
) -> list[list[Axes]]:
    return figure.subplots(rows, columns, squeeze=False, width_ratios=width_ratios).tolist()


def _height_of(note: str, width: float) -> float:
    """Inches of the note below a picture of so many inches, and of the gap above it."""
    return 0.16 * len(_lines_of(note, width)) + 0.2


def _lines_of(note: str, width: float) -> list[str]:
    whole_terms = note.replace(" - ", "\u00a0-\u00a0").replace(" %", "\u00a0%")  # no line ends within one
    return textwrap.wrap(whole_terms, int((width - 2 * _MARGIN) * _LETTERS_AN_INCH))


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _LABEL, break_long_words=False, break_on_hyphens=False)


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI)
