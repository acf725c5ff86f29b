"""Files of the repository that a page links to become part of the site, so that one link serves both readers.

On the site the file `X` of the repository is `repository/X`; links are rewritten to that, whoever holds them. A link to
a file that does not exist is left alone: MkDocs warns of it, and in strict mode that ends the build.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

PREFIX, DOCS = "repository/", "docs/"
_LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[)#])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds what pages link to outside of the folder, and what those link to."""
    root = Path(config.docs_dir).parent
    waiting = [Path(file.abs_src_path).relative_to(root).as_posix() for file in files.documentation_pages()]
    waiting += [path.removeprefix(PREFIX) for path in _paths(config.nav) if path.startswith(PREFIX)]
    seen: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in seen or not (root / path).is_file():
            continue
        seen.add(path)
        if not path.startswith(DOCS):
            files.append(File.generated(config, PREFIX + path, abs_src_path=str(root / path)))
        if path.endswith(".md"):
            text = (root / path).read_text()
            waiting += [_target(path, link) for link in _LINK.findall(text)]
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Points the links of a page to where their targets lie on the site."""
    uri = page.file.src_uri
    path = uri.removeprefix(PREFIX) if uri.startswith(PREFIX) else DOCS + uri

    def rewritten(link: re.Match[str]) -> str:
        target = _target(path, link[1])
        on_site = target.removeprefix(DOCS) if target.startswith(DOCS) else PREFIX + target
        return posixpath.relpath(on_site, posixpath.dirname(uri) or ".")

    return _LINK.sub(rewritten, markdown)


def _target(path: str, link: str) -> str:
    """What a link in the repository's file `path` names, from the repository's root."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), link))


def _paths(nav: object) -> list[str]:
    """All pages of the navigation."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else []
    return [path for part in parts for path in _paths(part)]
