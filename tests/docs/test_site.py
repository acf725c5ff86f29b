"""The pages build into a site without a warning; its links lead somewhere, and it loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT

LONGEST_README = 150  # lines
MADE = ("runs", "stores", "site", "failures", "ray")  # by the programs
# Folders of a run, and the first words of TensorBoard's tags.
NO_FILES = ("checkpoints/", "representations/", "step/", "sampler/", "tables/", "training/", "validation/")
BUILT_FROM = ["docs", "benchmarks/results", "cluster", "dualgnn_dist"]


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository's pages, to be broken."""
    root = tmp_path / "repository"
    for name in BUILT_FROM:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [*ROOT.glob("*.md"), ROOT / "mkdocs.yml", ROOT / "CITATION.cff", ROOT / "LICENSE"]:
        shutil.copy(path, root / path.name)
    return root


def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="MkDocs is not installed (the extra `docs`)")
    ended = build(ROOT, tmp_path / "site")
    assert ended.returncode == 0, ended.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) >= len(PAGES)
    for page in pages:
        text = page.read_text()
        loaded = re.findall(r"<(?:script|img|source|iframe)\b[^>]*\bsrc=\"?([^\s\">]+)", text)
        loaded += re.findall(r"<link\b[^>]*\bhref=\"?([^\s\">]+)", text)
        assert loaded
        assert not [url for url in loaded if re.match(r"(?:https?:)?//", url)], page
    for style in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"url\(\s*[\"']?https?:", style.read_text()), style


@pytest.mark.parametrize(
    ("page", "link"),
    [
        ("docs/index.md", "[x](no-such-page.md)"),
        ("docs/index.md", "[x](../no-such-file.md)"),
        ("docs/index.md", "![x](images/no-such-picture.png)"),
        ("docs/index.md", "[x](models.md#no-such-heading)"),
        ("cluster/README.md", "[x](no-such-file.md)"),
    ],
)
def test_a_broken_link_ends_the_build(page: str, link: str, copy: Path, tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="MkDocs is not installed (the extra `docs`)")
    (copy / page).write_text(f"{(copy / page).read_text()}\n{link}\n")
    ended = build(copy, tmp_path / "site")
    assert ended.returncode != 0 and "no-such" in ended.stderr


def test_links_of_the_files_beside_the_site_lead_somewhere() -> None:
    for path in [*ROOT.glob("*.md"), *(ROOT / "cluster").glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
            if not re.match(r"https?:|#", link):
                assert (path.parent / link.partition("#")[0]).exists(), (path, link)


def test_the_readme_is_a_page() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= LONGEST_README


def test_files_that_pages_name_exist() -> None:
    """Paths in back quotes: of the repository, of the page's folder, or of the package, whose name is left out."""
    missing = []
    for path in [*PAGES, ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md"]:
        for name in re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", path.read_text()):
            if name.partition("/")[0] not in MADE and name not in NO_FILES:
                places = [ROOT / name, path.parent / name, ROOT / "dualgnn_dist" / name]
                missing += [] if any(place.exists() for place in places) else [(path.name, name)]
    assert not missing


def test_the_tests_that_stand_for_promises_exist() -> None:
    there = [str(path) for path in (ROOT / "tests").rglob("test_*.py")]
    named = re.findall(r"(?:\w+/)*test_\w+", (ROOT / "docs" / "reliability.md").read_text())
    assert len(named) > 80
    assert [name for name in named if not any(path.endswith(f"/{name}.py") for path in there)] == []
