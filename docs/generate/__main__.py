"""`python docs/generate`: writes what is generated in the pages; `--check` writes nothing and says what would change.

Between `<!-- generated: NAME -->` and `<!-- end -->` stands what a function of this folder makes: `tables` from the
files of `benchmarks/results/`, `help` from the verbs' parsers, `config` from the dataclasses that a config is read
into: these make docs/config.schema.json too. Naming one of the three leaves the others' blocks alone. Everything else
in a page is written by hand.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from text import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FILES = ["docs/config.schema.json"]  # generated as a whole
# Part -> the modules that make its blocks. One that is not asked for is not imported: figures need files alone.
PARTS = {"tables": ["results", "rivals", "speed"], "help": ["verbs"], "config": ["reference", "schema"]}
_BLOCK = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def render(text: str, makers: Mapping[str, Callable[[], str]]) -> str:
    """A page with the blocks that `makers` can make made anew, the others as they are."""

    def made(block: re.Match[str]) -> str:
        return f"{block[1]}\n{makers[block[2]]()}\n\n{block[3]}" if block[2] in makers else block[0]

    return _BLOCK.sub(made, text)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python docs/generate", description="Write the generated parts of the pages.")
    parser.add_argument("part", nargs="?", choices=[*PARTS], help="one kind of block alone")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if something would change")
    options = parser.parse_args()
    makers = _makers([options.part] if options.part else [*PARTS])
    files = {ROOT / name: makers.pop(name) for name in FILES if name in makers}
    texts = {page: page.read_text() for page in PAGES}
    places = {block[2] for text in texts.values() for block in _BLOCK.finditer(text)}
    if makers.keys() - places:
        sys.exit(f"no page has a place for {', '.join(sorted(makers.keys() - places))}")
    if options.part is None and places - makers.keys():
        sys.exit(f"nothing makes {', '.join(sorted(places - makers.keys()))}")
    renewed = {page: new for page, text in texts.items() if (new := render(text, makers)) != text}
    renewed |= {path: new for path, make in files.items() if (new := make()) != (path.exists() and path.read_text())}
    if options.check and renewed:
        sys.exit(f"{_names(renewed)}: not what `python docs/generate` writes; run it")
    if not options.check:
        for page, text in renewed.items():
            page.write_text(text)
        print(f"written: {_names(renewed) or 'nothing, all pages are up to date'}")


def _makers(parts: Iterable[str]) -> dict[str, Callable[[], str]]:
    modules = [importlib.import_module(name) for part in parts for name in PARTS[part]]
    return {name: make for module in modules for name, make in module.blocks().items()}


def _names(pages: Mapping[Path, str]) -> str:
    return ", ".join(str(page.relative_to(ROOT)) for page in pages)


if __name__ == "__main__":
    main()
