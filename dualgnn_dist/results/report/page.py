"""The page around what is told: one file that asks nothing of a network, for a phone or a desk, in light or dark."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dualgnn_dist import __version__
from dualgnn_dist.results.report.markup import Html, escaped, joined, tag
from dualgnn_dist.results.report.style import SORT, STYLE


@dataclass(frozen=True)
class Cell:
    """A table's cell.

    Args:
        shown: text or markup.
        value: what it is sorted by, a number or a text; None comes last.
        kind: `left` and `long` are texts, the others numbers.
    """

    shown: str
    value: float | str | None = None
    kind: str | None = None


def page(
    title: str, subtitle: str, written: datetime, top: Sequence[str], sections: Sequence[tuple[str, Sequence[str]]]
) -> str:
    """The whole page.

    Args:
        written: when what the page tells was written.
        top: below the title.
        sections: headings with what stands below them.
    """
    sha = base64.b64encode(hashlib.sha256(SORT.encode()).digest()).decode()
    # No text of a user becomes markup; should one ever, the browser would run nothing but the script above.
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{sha}'"
    head = (
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        tag("style", Html(STYLE)),
    )
    body = (
        tag("header", tag("h1", title), tag("p", subtitle, class_="subtitle"), *top),
        tag("main", *(tag("section", tag("h2", heading), *parts) for heading, parts in sections)),
        tag("footer", f"As of {written:%Y-%m-%d %H:%M}. Written by dualgnn_dist {__version__}."),
        tag("script", Html(SORT)),
    )
    return f"<!doctype html>\n{tag('html', tag('head', *head), tag('body', *body), lang='en')}\n"


def facts(entries: Sequence[tuple[str, str]]) -> Html:
    """Names with their values, large, side by side."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in entries), class_="facts")


def table(headings: Sequence[str], rows: Sequence[Sequence[Cell]], sortable: bool = False, best: int = -1) -> Html:
    """A table in a box of its own that scrolls sideways; the row at index `best` stands out."""
    kinds = [cell.kind for cell in rows[0]] if rows else [None] * len(headings)
    ths = []
    for heading, kind in zip(headings, kinds, strict=True):
        shown = tag("button", heading, type="button") if sortable else escaped(heading)
        ths.append(tag("th", shown, scope="col", class_="left" if kind else None))
    trs = []
    for place, row in enumerate(rows):
        tds = (tag("td", cell.shown, data_value=_sorted_by(cell.value, sortable), class_=cell.kind) for cell in row)
        trs.append(tag("tr", *tds, class_="best" if place == best else None))
    made = tag("table", tag("thead", tag("tr", *ths)), tag("tbody", *trs))
    return tag("div", made, class_="scroll", tabindex=0, role="region", aria_label="table")


def _sorted_by(value: float | str | None, sortable: bool) -> str | None:
    if not sortable:
        return None
    return "" if value is None else value if isinstance(value, str) else repr(value)


def paragraph(text: str) -> Html:
    """A paragraph of text."""
    return tag("p", text)


def remark(text: str) -> Html:
    """What a reader must know of the numbers, in small letters."""
    return tag("p", text, class_="small")


def note(text: str) -> Html:
    """What is missing or wrong, so that it is seen."""
    return tag("p", text, class_="note", role="note")


def code(text: str, is_command: bool = False) -> Html:
    """Text as it is; a command line wraps, anything else scrolls in its own box."""
    return tag("pre", text, class_="command") if is_command else tag("pre", text, tabindex=0)


def folded(summary: str, *parts: str) -> Html:
    """Parts that show when the summary is clicked."""
    return tag("details", tag("summary", summary), tag("div", *parts))


def grid(charts: Sequence[Html]) -> Html:
    """Charts side by side, as many as there is room for."""
    return tag("div", joined(charts), class_="grid")


def picture(png: bytes, described: str) -> Html:
    """A PNG file inside the page."""
    data = base64.b64encode(png).decode()
    return tag("figure", tag("img", src=f"data:image/png;base64,{data}", alt=described), class_="wide")
