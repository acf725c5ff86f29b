"""Axes and charts hold what they say, whatever they are drawn of; and no text becomes markup."""

from __future__ import annotations

import math
import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.results.report.axes import axis_of, category_axis, number
from dualgnn_dist.results.report.blocks import (
    Bar,
    Bars,
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
    Shape,
    Table,
)
from dualgnn_dist.results.report.charts import Point, Series, boxes, lines, scatter, stacked
from dualgnn_dist.results.report.page import rendered
from tests.unit.results.report.elements import Elements

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def blocks_of(text: str) -> list[Block]:
    """One of each kind, with a text wherever one can be."""
    shape = Shape("text", {"class": text}, tooltip=text, text=text, parts=[Shape("g", {"d": text}, text)])
    return [
        *(kind(text) for kind in (Paragraph, Remark, Note, Code)),
        Facts([(text, text)]),
        Table([text, text], [[Cell(text, text, text), Cell(text)]], sortable=True, best=0),
        Picture(b"", text),
        Folded(text, [Grid([Chart(text, text, 1, 1, [shape], [(text, text)])])]),
        stacked(text, [(text, 1.0, text)]),
        Bars(text, [Bar(text, 0.5, text)]),
    ]


@settings(deadline=None)
@given(st.text() | st.sampled_from(["<b>", '"><b>', "' onload='x", "]]>", "</title>"]))
def test_no_text_becomes_markup(text: str) -> None:
    for block, plain in zip(blocks_of(text), blocks_of("x"), strict=True):
        found, expected = (
            [(name, [*attributes]) for name, attributes in Elements(rendered(one)).found] for one in (block, plain)
        )
        assert found == expected, "the same elements with the same attributes"


def test_texts_are_shown_as_they_are() -> None:
    assert rendered(Paragraph("<b>&\"'")) == "<p>&lt;b&gt;&amp;&#34;&#39;</p>"
    assert rendered(Code("\n  a: 1\n")) == '<pre tabindex="0">\n\n  a: 1\n</pre>', (
        "a browser drops the first line break"
    )
    table = rendered(Table(["a"], [[Cell("b", 1.5)], [Cell("c")]], sortable=True, best=1))
    assert '<tr class="best"><td data-value="">c</td></tr>' in table and '<td data-value="1.5">b</td>' in table
    assert "data-value" not in rendered(Table(["a"], [[Cell("b", 1.5)]])), "only what can be sorted says by what"


@settings(deadline=None)
@given(st.lists(FINITE, max_size=6), st.booleans())
def test_ticks_lie_between_the_ends_and_can_be_told_apart(values: list[float], integers: bool) -> None:
    axis = axis_of(values, integers)
    assert axis.low < axis.high and 1 <= len(axis.ticks) <= 13
    places = [axis.place(tick) for tick in axis.ticks]
    assert places == sorted(places) and all(0 <= place <= 1 for place in places)
    assert len(set(axis.labels)) == len(axis.labels)
    assert all(0 <= axis.place(value) <= 1 for value in values)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=9))
def test_whole_numbers_have_whole_ticks(values: list[int]) -> None:
    assert all(tick == int(tick) for tick in axis_of(values, integers=True).ticks)


def test_axes() -> None:
    assert axis_of([0, 0.4]).labels == ("0.0", "0.1", "0.2", "0.3", "0.4")
    assert axis_of([1e-4, 1e-1]).kind == "log" and axis_of([1e-4, 1e-1]).labels == ("1e-4", "0.001", "0.01", "0.1")
    assert axis_of([1e-3, 1e-1]).kind == "linear"  # no more than two decades
    assert axis_of([0, 1, 1e6]).kind == "linear"  # zero has no logarithm
    assert axis_of([1e6, 3e6]).labels[-1] == "3.0M"
    assert axis_of([1e-4, 1e-1]).place(1e-4) < axis_of([1e-4, 1e-1]).place(1e-2) < 1
    assert category_axis(["a", "b"]).labels == ("a", "b")
    assert [number(value) for value in (None, math.nan, 3.0, 1234567.0, 0.123456, 2e-7, 12345.6)] == [
        "-", "-", "3", "1,234,567", "0.1235", "2e-7", "12,346",
    ]  # fmt: skip


NUMBERS = st.lists(st.floats(), max_size=5)


@settings(deadline=None, max_examples=50)
@given(NUMBERS, st.text(max_size=9))
def test_a_chart_can_be_drawn_of_anything(values: list[float], name: str) -> None:
    finite = [value for value in values if math.isfinite(value)]
    states = ("complete", "stopped", "failed")
    drawn = [
        lines(name, name, [Series(name, range(len(values)), values)], (1.0, name)),
        scatter(name, name, [Point(v, v, states[k % 3], name) for k, v in enumerate(finite)]),
        scatter(name, name, [Point(str(v), None, "failed", name) for v in finite]),
        stacked(name, [(name, abs(value), name) for value in finite if abs(value) < 1e100]),
        Bars(name, [Bar(name, value, name) for value in finite]),
    ]
    for chart in drawn:
        elements = Elements(rendered(chart)).found
        for element, attributes in elements:
            if element == "svg" and "aria-hidden" not in attributes:
                assert attributes["role"] == "img" and "aria-label" in attributes
            for key in ("x", "y", "cx", "cy", "x1", "y1", "d", "width"):
                assert not re.search("nan|inf", attributes.get(key) or "")


def test_a_line_goes_through_its_points() -> None:
    chart = rendered(lines("loss", "epoch", [Series("loss", [1, 2, 3], [3.0, math.nan, 1.0])], (3.0, "best")))
    dots = [attributes for name, attributes in Elements(chart).found if name == "circle"]
    assert len(dots) == 2, "what is not finite is left out"
    assert float(dots[0]["cx"] or 0) < float(dots[1]["cx"] or 0) and float(dots[0]["cy"] or 0) < float(
        dots[1]["cy"] or 0
    )
    assert "loss: 3 at 1, 1 at 3" in chart and "<title>best: 3</title>" in chart
    many = rendered(lines("l", "epoch", [Series("l", range(1000), list(map(float, range(1000))))]))
    path = next(attributes["d"] for name, attributes in Elements(many).found if attributes.get("class") == "line c0")
    assert (path or "").count("L") == 999 and many.count("<circle") <= 151


def test_boxes_and_bars_hold_what_they_say() -> None:
    groups = {"1": np.arange(101.0), "all": np.ones(3)}
    drawn = rendered(boxes("visual", "community", groups, np.array([0.0, 100.0])))
    assert "community 1: median 50, half between 25 and 75" in drawn
    widths = [
        float(a["width"] or 0)
        for n, a in Elements(rendered(stacked("t", [("a", 1, "1 s"), ("b", 3, "3 s")]))).found
        if n == "rect"
    ]
    assert widths[:2] == [250, 750]
    points = [Point(1, 0.5, "complete", "a"), Point(2, 0.1, "failed", "b"), Point(3, None, "stopped", "c")]
    crosses = rendered(scatter("t", "x", points))
    assert crosses.count('class="cross"') == 2 and crosses.count("<circle") == 1
