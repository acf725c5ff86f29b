"""What a page is made of, as plain values: a template for each lays it out, and every text in them stays a text."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of text."""

    text: str


@dataclass(frozen=True)
class Remark:
    """What a reader must know of the numbers, in small letters."""

    text: str


@dataclass(frozen=True)
class Note:
    """What is missing or wrong, so that it is seen."""

    text: str


@dataclass(frozen=True)
class Code:
    """Text as it is; a command line wraps, anything else scrolls in its own box."""

    text: str
    is_command: bool = False


@dataclass(frozen=True)
class Facts:
    """Names with their values, large, side by side."""

    entries: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Cell:
    """A table's cell.

    Args:
        value: what it is sorted by, a number or a text; None comes last.
        kind: `left` and `long` are texts, the others numbers.
    """

    text: str
    value: float | str | None = None
    kind: str | None = None

    @property
    def sorted_by(self) -> str:
        """The value as the script reads it."""
        return "" if self.value is None else self.value if isinstance(self.value, str) else repr(self.value)


@dataclass(frozen=True)
class Table:
    """A table in a box of its own that scrolls sideways; the row at index `best` stands out."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    sortable: bool = False
    best: int = -1

    @property
    def columns(self) -> list[tuple[str, bool]]:
        """Each heading, and whether texts stand below it."""
        kinds = [cell.kind for cell in self.rows[0]] if self.rows else [None] * len(self.headings)
        return [(heading, kind is not None) for heading, kind in zip(self.headings, kinds, strict=True)]


@dataclass(frozen=True)
class Picture:
    """A PNG file inside the page."""

    png: bytes
    described: str

    @property
    def url(self) -> str:
        """All of it."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


@dataclass(frozen=True)
class Folded:
    """Parts that show when the summary is clicked."""

    summary: str
    parts: Sequence[Block]


@dataclass(frozen=True)
class Grid:
    """Charts side by side, as many as there is room for."""

    charts: Sequence[Chart]


@dataclass(frozen=True)
class Shape:
    """An element of a drawing.

    Args:
        name: in SVG.
        attributes: as they are written.
        tooltip: what the mouse or a touch shows.
        text: inside a `text`.
        parts: inside a `g`.
    """

    name: str
    attributes: Mapping[str, str]
    tooltip: str | None = None
    text: str | None = None
    parts: Sequence[Shape] = ()


@dataclass(frozen=True)
class Chart:
    """A drawing under its title.

    Args:
        described: what it shows, for who does not see it.
        width, height: of the plane in which the shapes lie.
        legend: names with the classes of their colours.
    """

    title: str
    described: str
    width: int
    height: int
    shapes: Sequence[Shape]
    legend: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Stack:
    """One bar as wide as the page, made of parts, and a legend with all of them."""

    title: str
    described: str
    shapes: Sequence[Shape]
    legend: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Bar:
    """A bar of a length from 0 to 1, beside its label and its value in words."""

    label: str
    length: float
    value: str

    @property
    def width(self) -> str:
        """In thousandths of the longest."""
        return f"{1000 * min(max(self.length, 0.0), 1.0):.1f}"


@dataclass(frozen=True)
class Bars:
    """A bar a row, from left to right."""

    title: str
    rows: Sequence[Bar]


Block = Paragraph | Remark | Note | Code | Facts | Table | Picture | Folded | Grid | Chart | Stack | Bars


@dataclass(frozen=True)
class Section:
    """What stands under a heading."""

    heading: str
    parts: Sequence[Block] = field(default_factory=tuple)
