"""Charts as SVG inside the page: small, so that one fits a phone and three stand side by side on a desk.

Colours are classes that the page's style sheet gives a value for light and for dark; series differ in their dashes too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dualgnn_dist.results.report.axes import Axis, axis_of, category_axis, number
from dualgnn_dist.results.report.markup import Html, tag

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
    said: str


@dataclass(frozen=True)
class Bar:
    """A bar of a length from 0 to 1, beside its label and its value in words."""

    label: str
    length: float
    value: str


def lines(title: str, x_label: str, series: Sequence[Series], marked: tuple[float, str] | None = None) -> Html:
    """A line a series over whole numbers such as epochs; a dashed vertical at `marked` = (x, what it is)."""
    kept = [_finite(one) for one in series]
    x = axis_of([value for one in kept for value in one.x], integers=True)
    y = axis_of([value for one in kept for value in one.y])
    drawn: list[Html] = []
    if marked is not None and kept and x.low <= marked[0] <= x.high:
        place = _across(x, marked[0])
        ends = {"x1": place, "x2": place, "y1": _TOP, "y2": _HEIGHT - _BOTTOM}
        drawn.append(tag("line", tag("title", f"{marked[1]}: {number(marked[0])}"), class_="mark", **ends))
    for colour, one in enumerate(kept):
        drawn.append(tag("path", d=_path(x, y, one.x, one.y), class_=f"line c{colour % COLOURS}"))
        every = max(1, math.ceil(len(one.x) / _MAX_DOTS))
        places = sorted({*range(0, len(one.x), every), *([len(one.x) - 1] if one.x else [])})
        for place in places:
            said = f"{one.name}, {x_label} {number(one.x[place])}: {number(one.y[place])}"
            drawn.append(_dot(_across(x, one.x[place]), _down(y, one.y[place]), f"dot c{colour % COLOURS}", said))
    described = "; ".join(_described(one) for one in kept)
    below = [(one.name, f"c{place % COLOURS}") for place, one in enumerate(kept)] if len(kept) > 1 else []
    return _figure(title, f"{title} by {x_label}. {described}", _frame(x, y, x_label), drawn, below)


def scatter(
    title: str, x_label: str, points: Sequence[Point], trail: Series | None = None, whole: bool = False
) -> Html:
    """Dots, and perhaps a line of steps such as the best value so far.

    Args:
        points: x is a number for all of them, or else each different x is a category.
        whole: x are whole numbers, such as the number of a trial.
    """
    numeric = all(not isinstance(point.x, str) for point in points)
    names = list(dict.fromkeys(str(point.x) for point in points))
    x = axis_of([float(point.x) for point in points], whole) if numeric else category_axis(names)
    known = [point.y for point in points if point.y is not None]
    # Crosses get a strip of their own, below the lowest dot.
    below_all = [min(known) - 0.12 * (max(known) - min(known))] if known and len(known) < len(points) else []
    y = axis_of([*known, *below_all])
    drawn = [] if trail is None else [tag("path", tag("title", trail.name), d=_steps(x, y, trail), class_="line c1")]
    for point in points:
        across = _across(x, float(point.x) if numeric else names.index(str(point.x)))
        if point.state == "failed" or point.y is None:
            drawn.append(_cross(across, _HEIGHT - _BOTTOM - 5, point.said))
        else:
            drawn.append(_dot(across, _down(y, point.y), f"dot c0 {point.state}", point.said))
    span = f", values from {number(min(known))} to {number(max(known))}" if known else ""
    below = [] if trail is None else [(trail.name, "c1")]
    return _figure(title, f"{title}: {len(points)} points{span}", _frame(x, y, x_label), drawn, below)


def boxes(title: str, x_label: str, groups: Mapping[str, np.ndarray], over: np.ndarray, colour: int = 0) -> Html:
    """A box a group: quartiles and median, whiskers from 5 % to 95 %.

    Args:
        groups: name -> float [n], n at least 1.
        over: float; the vertical axis holds these values, so that charts beside each other can share it.
    """
    x, y = category_axis([*groups]), axis_of(over.tolist())
    half = min(12.0, 0.3 * (_WIDTH - _LEFT - _RIGHT) / max(len(groups), 1))
    drawn, described = [], []
    for place, (name, values) in enumerate(groups.items()):
        five = [float(value) for value in np.percentile(values, (5, 25, 50, 75, 95))]
        low, lower, middle, upper, high = (_down(y, value) for value in five)
        across = _across(x, place)
        said = f"{x_label} {name}: median {number(five[2])}, half between {number(five[1])} and {number(five[3])}"
        described.append(f"{name} {number(five[2])}")
        box = {"x": across - half, "y": upper, "width": 2 * half, "height": max(lower - upper, 1.0)}
        parts = [
            tag("title", said),
            tag("line", x1=across, x2=across, y1=low, y2=high, class_="whisker"),
            tag("rect", **box, class_="box"),
            tag("line", x1=across - half, x2=across + half, y1=middle, y2=middle, class_="median"),
        ]
        drawn.append(tag("g", *parts, class_=f"c{colour % COLOURS}"))
    return _figure(title, f"{title}, medians by {x_label}: {', '.join(described)}", _frame(x, y, x_label), drawn, [])


def stacked(title: str, parts: Sequence[tuple[str, float, str]]) -> Html:
    """One bar made of parts: (name, size, size in words), sizes not negative; below it a legend with all of them."""
    total = sum(size for _, size, _ in parts) or 1.0
    drawn, start = [], 0.0
    for colour, (name, size, words) in enumerate(parts):
        said = tag("title", f"{name}: {words}, {size / total:.1%}")
        place = {"x": start / total * 1000, "y": 0, "width": size / total * 1000, "height": 30}
        drawn.append(tag("rect", said, **place, class_=f"part c{colour % COLOURS}"))
        start += size
    label = f"{title}: " + ", ".join(f"{name} {size / total:.1%}" for name, size, _ in parts)
    picture = tag(
        "svg", *drawn, viewBox="0 0 1000 30", preserveAspectRatio="none", role="img", aria_label=label, class_="stack"
    )
    below = [(f"{name} {words} ({size / total:.1%})", f"c{n % COLOURS}") for n, (name, size, words) in enumerate(parts)]
    return tag("figure", tag("figcaption", title), picture, _legend(below, solid=True), class_="wide")


def bars(title: str, rows: Sequence[Bar]) -> Html:
    """A bar a row, from left to right."""
    drawn = []
    for row in rows:
        length = min(max(row.length, 0.0), 1.0)
        shapes = (
            tag("rect", x=0, y=0, width=1000, height=10, class_="trough"),
            tag("rect", x=0, y=0, width=1000 * length, height=10, class_="part c0"),
        )
        label = f"{row.label}: {row.value}"
        picture = tag("svg", *shapes, viewBox="0 0 1000 10", preserveAspectRatio="none", role="img", aria_label=label)
        cells = (tag("span", row.label, class_="label"), picture, tag("span", row.value, class_="value"))
        drawn.append(tag("div", *cells, class_="bar"))
    return tag("figure", tag("figcaption", title), *drawn, class_="wide bars")


def _figure(
    title: str, label: str, frame: Sequence[Html], drawn: Sequence[Html], below: Sequence[tuple[str, str]]
) -> Html:
    size = f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}"
    picture = tag("svg", *frame, *drawn, viewBox=size, role="img", aria_label=label)
    return tag("figure", tag("figcaption", title), picture, _legend(below), class_="chart")


def _legend(entries: Sequence[tuple[str, str]], solid: bool = False) -> Html:
    """Names beside a sample: of the line with its dashes, or of the colour alone."""

    def sample(colour: str) -> Html:
        shape = {"x": 0, "y": 0, "width": 10, "height": 10} if solid else {"d": "M0 5H22"}
        drawn = tag("rect" if solid else "path", **shape, class_=f"{'part' if solid else 'line'} {colour}")
        return tag("svg", drawn, viewBox=f"0 0 {10 if solid else 22} 10", aria_hidden="true", class_="sample")

    entry = (tag("span", sample(colour), tag("span", name), class_="entry") for name, colour in entries)
    return tag("div", *entry, class_="legend") if entries else Html("")


def _frame(x: Axis, y: Axis, x_label: str) -> list[Html]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    drawn = []
    for tick, label in zip(y.ticks, y.labels, strict=True):
        down = _down(y, tick)
        drawn.append(tag("line", x1=_LEFT, x2=right, y1=down, y2=down, class_="rule"))
        drawn.append(tag("text", label, x=_LEFT - 6, y=down + 4, class_="tick end"))
    drawn.append(tag("line", x1=_LEFT, x2=right, y1=bottom, y2=bottom, class_="axis"))
    for tick, label in _spaced(x):
        across = _across(x, tick)
        drawn.append(tag("line", x1=across, x2=across, y1=bottom, y2=bottom + 4, class_="axis"))
        drawn.append(tag("text", label, x=across, y=bottom + 16, class_="tick middle"))
    drawn.append(tag("text", x_label, x=(_LEFT + right) / 2, y=_HEIGHT - 6, class_="tick middle"))
    return drawn


def _spaced(x: Axis) -> list[tuple[float, str]]:
    """The ticks whose labels do not run into one another; long names are cut, and whole in the tooltips."""
    labels = [label if len(label) <= 14 else f"{label[:13]}…" for label in x.labels]
    room = (_WIDTH - _LEFT - _RIGHT) / max(len(labels), 1)
    every = max(1, math.ceil((max(map(len, labels), default=0) + 1) * _LETTER / room))
    return list(zip(x.ticks, labels, strict=True))[::every]


def _dot(across: float, down: float, kind: str, said: str) -> Html:
    return tag("circle", tag("title", said), cx=across, cy=down, r=2.6 if "stopped" not in kind else 3.0, class_=kind)


def _cross(across: float, down: float, said: str) -> Html:
    shape = f"M{across - 4:.1f} {down - 4:.1f}l8 8m0 -8l-8 8"
    return tag("path", tag("title", said), d=shape, class_="cross")


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
