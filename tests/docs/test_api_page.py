"""The page of what is public from Python, and what is public from Python."""

from __future__ import annotations

import re

import dualgnn_dist
from dualgnn_dist import _PUBLIC
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs/api.md").read_text()


def test_the_table_names_what_is_public_and_nothing_else() -> None:
    cells = re.findall(r"^\| (`.*?`) \| ", PAGE, re.MULTILINE)
    names = [re.match(r"\w+", name)[0] for cell in cells for name in re.findall(r"`(.*?)`", cell)]
    assert sorted(names) == sorted(dualgnn_dist.__all__)


def test_each_name_is_shown_with_its_docstring() -> None:
    """By its place, which the site's builder looks up; under its public name, where that is another."""
    blocks = re.findall(r"^::: (\S+)\n((?: {4}.*\n)*)", PAGE, re.MULTILINE)
    assert sorted(place for place, _ in blocks) == sorted(
        f"dualgnn_dist.{'.'.join(place)}" for place in _PUBLIC.values()
    )
    by_place = {f"dualgnn_dist.{'.'.join(place)}": name for name, place in _PUBLIC.items()}
    for place, options in blocks:
        name = by_place[place]
        shown = re.search(r"heading: (\w+)", options)
        assert (shown[1] if shown else place.rpartition(".")[2]) == name
