"""HTML built from elements. Whatever is not markup already is escaped, so no text of a user can become any."""

from __future__ import annotations

import html
from collections.abc import Iterable

_VOID = frozenset({"meta", "link", "img", "br"})


class Html(str):
    """Markup that is safe to put into a page. Formatting it into another text makes a plain `str` of it again."""

    __slots__ = ()


def escaped(child: str) -> Html:
    """Markup as it is; any other text with its `<`, `>`, `&` and quotes escaped."""
    return child if isinstance(child, Html) else Html(html.escape(child))


def joined(children: Iterable[str]) -> Html:
    """Several children after one another."""
    return Html("".join(escaped(child) for child in children))


def tag(name: str, /, *children: str, **attributes: str | int | float | bool | None) -> Html:
    """An element.

    Args:
        children: markup, or text to be escaped.
        attributes: `class_` is `class`, `aria_label` is `aria-label`; None and False leave one out, True names it
            alone; floats are written to a tenth, which is as fine as a screen.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    return Html(f"<{name}{written}>" if name in _VOID else f"<{name}{written}>{joined(children)}</{name}>")


def _attribute(key: str, value: str | int | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    return f' {name}="{html.escape(text)}"'
