"""Charts as SVG inside the page: small, so that one fits a phone and three stand side by side on a desk.

Colours are classes that the page's style sheet gives a value for light and for dark; series differ in their dashes too.
They are drawn here and not by matplotlib, whose SVG has no tooltips, no dark colours and a hundred times the bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dualgnn_dist.results.report.axes import Axis, axis_of, category_axis, number
from dualgnn_dist.results.report.blocks import Chart, Shape, Stack

_WIDTH, _HEIGHT = 360.0, 220.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 50.0, 14.0, 10.0, 40.0
_MAX_DOTS = 150  # of a line; the line itself goes through every point
_LETTER = 6.2  # width of a letter of a tick's label
COLOURS = 6  # classes c0 to c5 of the style sheet

State = Literal["complete", "stopped", "failed"]


@dataclass(frozen=True)
class Series:
    """A named line through points, ascending in x; points that are not finite are left out."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Point:
    """A dot: filled if `complete`, hollow if `stopped`; a `failed` one, or one without y, is a cross at the bottom."""

    x: float | str
    y: float | None
    state: State
    tooltip: str


def lines(title: str, x_label: str, series: Sequence[Series], marked: tuple[float, str] | None = None) -> Chart:
    """A line a series over whole numbers such as epochs; a dashed vertical at `marked` = (x, what it is)."""
    kept = [_finite(one) for one in series]
    x = axis_of([value for one in kept for value in one.x], integers=True)
    y = axis_of([value for one in kept for value in one.y])
    shapes = []
    if marked is not None and kept and x.low <= marked[0] <= x.high:
        place, tooltip = _across(x, marked[0]), f"{marked[1]}: {number(marked[0])}"
        shapes.append(_shape("line", tooltip, x1=place, x2=place, y1=_TOP, y2=_HEIGHT - _BOTTOM, class_="mark"))
    for colour, one in enumerate(kept):
        shapes.append(_shape("path", d=_path(x, y, one.x, one.y), class_=f"line c{colour % COLOURS}"))
        every = max(1, math.ceil(len(one.x) / _MAX_DOTS))
        places = sorted({*range(0, len(one.x), every), *([len(one.x) - 1] if one.x else [])})
        for place in places:
            tooltip = f"{one.name}, {x_label} {number(one.x[place])}: {number(one.y[place])}"
            dot = _across(x, one.x[place]), _down(y, one.y[place])
            shapes.append(_dot(*dot, f"dot c{colour % COLOURS}", tooltip))
    described = "; ".join(_described(one) for one in kept)
    legend = [(one.name, f"c{place % COLOURS}") for place, one in enumerate(kept)] if len(kept) > 1 else []
    return _chart(title, f"{title} by {x_label}. {described}", [*_frame(x, y, x_label), *shapes], legend)


def scatter(
    title: str, x_label: str, points: Sequence[Point], trail: Series | None = None, whole: bool = False
) -> Chart:
    """Dots, and perhaps a line of steps such as the best value so far.

    Args:
        points: x is a number for all of them, or else each different x is a category.
        whole: x are whole numbers, such as the number of a trial.
    """
    numeric = all(not isinstance(point.x, str) for point in points)
    names = list(dict.fromkeys(str(point.x) for point in points))
    x = axis_of([float(point.x) for point in points], whole) if numeric else category_axis(names)
    values = [point.y for point in points if point.y is not None]
    # Crosses get a strip of their own, below the lowest dot.
    below_all = [min(values) - 0.12 * (max(values) - min(values))] if values and len(values) < len(points) else []
    y = axis_of([*values, *below_all])
    shapes = [] if trail is None else [_shape("path", tooltip=trail.name, d=_steps(x, y, trail), class_="line c1")]
    for point in points:
        across = _across(x, float(point.x) if numeric else names.index(str(point.x)))
        if point.state == "failed" or point.y is None:
            shapes.append(_cross(across, _HEIGHT - _BOTTOM - 5, point.tooltip))
        else:
            shapes.append(_dot(across, _down(y, point.y), f"dot c0 {point.state}", point.tooltip))
    span = f", values from {number(min(values))} to {number(max(values))}" if values else ""
    legend = [] if trail is None else [(trail.name, "c1")]
    return _chart(title, f"{title}: {len(points)} points{span}", [*_frame(x, y, x_label), *shapes], legend)


def boxes(title: str, x_label: str, groups: Mapping[str, np.ndarray], over: np.ndarray, colour: int = 0) -> Chart:
    """A box a group: quartiles and median, whiskers from 5 % to 95 %.

    Args:
        groups: name -> float [n], n at least 1.
        over: float; the vertical axis holds these values, so that charts beside each other can share it.
    """
    x, y = category_axis([*groups]), axis_of(over.tolist())
    half = min(12.0, 0.3 * (_WIDTH - _LEFT - _RIGHT) / max(len(groups), 1))
    shapes, described = [], []
    for place, (name, values) in enumerate(groups.items()):
        five = [float(value) for value in np.percentile(values, (5, 25, 50, 75, 95))]
        low, lower, middle, upper, high = (_down(y, value) for value in five)
        across = _across(x, place)
        tooltip = f"{x_label} {name}: median {number(five[2])}, half between {number(five[1])} and {number(five[3])}"
        described.append(f"{name} {number(five[2])}")
        height = max(lower - upper, 1.0)
        parts = (
            _shape("line", x1=across, x2=across, y1=low, y2=high, class_="whisker"),
            _shape("rect", x=across - half, y=upper, width=2 * half, height=height, class_="box"),
            _shape("line", x1=across - half, x2=across + half, y1=middle, y2=middle, class_="median"),
        )
        shapes.append(_shape("g", tooltip=tooltip, parts=parts, class_=f"c{colour % COLOURS}"))
    return _chart(
        title, f"{title}, medians by {x_label}: {', '.join(described)}", [*_frame(x, y, x_label), *shapes], []
    )


def stacked(title: str, parts: Sequence[tuple[str, float, str]]) -> Stack:
    """One bar made of parts: (name, size, size in words), sizes not negative."""
    total = sum(size for _, size, _ in parts) or 1.0
    shapes, legend, start = [], [], 0.0
    for place, (name, size, words) in enumerate(parts):
        colour, left, width = f"c{place % COLOURS}", start / total * 1000, size / total * 1000
        tooltip = f"{name}: {words}, {size / total:.1%}"
        shapes.append(_shape("rect", tooltip, x=left, y=0, width=width, height=30, class_=f"part {colour}"))
        legend.append((f"{name} {words} ({size / total:.1%})", colour))
        start += size
    described = ", ".join(f"{name} {size / total:.1%}" for name, size, _ in parts)
    return Stack(title, f"{title}: {described}", shapes, legend)


def _chart(title: str, described: str, shapes: Sequence[Shape], legend: Sequence[tuple[str, str]]) -> Chart:
    return Chart(title, described, int(_WIDTH), int(_HEIGHT), shapes, legend)


def _shape(
    name: str,
    tooltip: str | None = None,
    text: str | None = None,
    parts: Sequence[Shape] = (),
    **attributes: str | float,
) -> Shape:
    """`class_` is `class`; floats are written to a tenth, which is as fine as a screen."""
    written = {
        key.rstrip("_"): f"{value:.1f}" if isinstance(value, float) else str(value) for key, value in attributes.items()
    }
    return Shape(name, written, tooltip, text, parts)


def _frame(x: Axis, y: Axis, x_label: str) -> list[Shape]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    shapes = []
    for tick, label in zip(y.ticks, y.labels, strict=True):
        down = _down(y, tick)
        shapes.append(_shape("line", x1=_LEFT, x2=right, y1=down, y2=down, class_="rule"))
        shapes.append(_shape("text", text=label, x=_LEFT - 6, y=down + 4, class_="tick end"))
    shapes.append(_shape("line", x1=_LEFT, x2=right, y1=bottom, y2=bottom, class_="axis"))
    for tick, label in _spaced(x):
        across = _across(x, tick)
        shapes.append(_shape("line", x1=across, x2=across, y1=bottom, y2=bottom + 4, class_="axis"))
        shapes.append(_shape("text", text=label, x=across, y=bottom + 16, class_="tick middle"))
    shapes.append(_shape("text", text=x_label, x=(_LEFT + right) / 2, y=_HEIGHT - 6, class_="tick middle"))
    return shapes


def _spaced(x: Axis) -> list[tuple[float, str]]:
    """The ticks whose labels do not run into one another; long names are cut, and whole in the tooltips."""
    labels = [label if len(label) <= 14 else f"{label[:13]}…" for label in x.labels]
    room = (_WIDTH - _LEFT - _RIGHT) / max(len(labels), 1)
    every = max(1, math.ceil((max(map(len, labels), default=0) + 1) * _LETTER / room))
    return list(zip(x.ticks, labels, strict=True))[::every]


def _dot(across: float, down: float, kind: str, tooltip: str) -> Shape:
    return _shape("circle", tooltip, cx=across, cy=down, r=2.6 if "stopped" not in kind else 3.0, class_=kind)


def _cross(across: float, down: float, tooltip: str) -> Shape:
    shape = f"M{across - 4:.1f} {down - 4:.1f}l8 8m0 -8l-8 8"
    return _shape("path", tooltip, d=shape, class_="cross")


def _path(x: Axis, y: Axis, xs: Sequence[float], ys: Sequence[float]) -> str:
    places = [f"{_across(x, a):.1f} {_down(y, b):.1f}" for a, b in zip(xs, ys, strict=True)]
    return "M" + "L".join(places) if places else ""


def _steps(x: Axis, y: Axis, trail: Series) -> str:
    xs = [value for value in trail.x for _ in (0, 1)][1:]
    ys = [value for value in trail.y for _ in (0, 1)][:-1]
    return _path(x, y, xs, ys)


def _across(x: Axis, value: float) -> float:
    return _LEFT + x.place(value) * (_WIDTH - _LEFT - _RIGHT)


def _down(y: Axis, value: float) -> float:
    return _HEIGHT - _BOTTOM - y.place(value) * (_HEIGHT - _BOTTOM - _TOP)


def _finite(series: Series) -> Series:
    pairs = [(a, b) for a, b in zip(series.x, series.y, strict=True) if math.isfinite(a) and math.isfinite(b)]
    return Series(series.name, [a for a, _ in pairs], [b for _, b in pairs])


def _described(series: Series) -> str:
    if not series.x:
        return f"{series.name}: no values"
    first, last = (f"{number(series.y[place])} at {number(series.x[place])}" for place in (0, -1))
    return f"{series.name}: {first}, {last}"
