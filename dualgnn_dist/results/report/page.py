"""The page around what is told: one file that asks nothing of a network, for a phone or a desk, in light or dark.

Templates escape every text, so none of a user becomes markup; should one ever, the page's policy lets the browser run
nothing but the script that sorts tables, and load nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dualgnn_dist import __version__
from dualgnn_dist.base.screen import visible
from dualgnn_dist.results.report.blocks import Block, Section

_TEMPLATES = Environment(
    loader=PackageLoader("dualgnn_dist.results.report"),
    autoescape=True,
    finalize=lambda value: visible(value) if type(value) is str else value,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def rendered(block: Block) -> Markup:
    """A part of a page as HTML: the macro of `blocks.html.j2` with the name of its class lays it out."""
    macros = _TEMPLATES.get_template("blocks.html.j2").module
    return getattr(macros, type(block).__name__.lower())(block)


_TEMPLATES.globals["rendered"] = rendered


def page(title: str, subtitle: str, written: datetime, top: Sequence[Block], sections: Sequence[Section]) -> str:
    """The whole page as HTML.

    Args:
        written: when what the page tells was written.
        top: below the title.
    """
    style, script = _source("style.css"), _source("sort.js")
    return _TEMPLATES.get_template("page.html.j2").render(
        title=title,
        subtitle=subtitle,
        top=top,
        sections=sections,
        footer=f"As of {written:%Y-%m-%d %H:%M}. Written by dualgnn_dist {__version__}.",
        style=Markup(style),
        script=Markup(script),
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _source(name: str) -> str:
    assert _TEMPLATES.loader is not None
    return _TEMPLATES.loader.get_source(_TEMPLATES, name)[0]
