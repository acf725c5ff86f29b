"""How to cite the program says what the program says of itself."""

from __future__ import annotations

import tomllib

import yaml

import dualgnn_dist
from tests.docs.pages import ROOT


def test_the_citation_is_of_this_version_and_of_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["version"] == dualgnn_dist.__version__
    assert citation["license"] == project["license"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    (paper,) = citation["references"]
    assert paper["doi"] == "10.1109/TMM.2021.3138298" and paper["doi"] in (ROOT / "docs/models.md").read_text()
