"""HTML as a browser reads it."""

from __future__ import annotations

import html.parser


class Elements(html.parser.HTMLParser):
    """Every element that a browser would make of a page, with its attributes; checks that they are closed in order."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((name, dict(attributes)))
        if name not in self.VOID:
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name


def is_harmless(text: str) -> bool:
    """One script, ours; nothing that loads; no handler."""
    elements = Elements(text).found
    names = [name for name, _ in elements]
    urls = [value or "" for _, attributes in elements for key, value in attributes.items() if key in ("src", "href")]
    handlers = [key for _, attributes in elements for key in attributes if key.startswith("on")]
    return names.count("script") <= 1 and not handlers and all(url.startswith("data:") for url in urls)
