"""The pages as the tests read them: their fenced blocks, and the commands in these."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "cluster/README.md", *sorted((ROOT / "docs").glob("*.md"))]
VERBS = ("prepare", "train", "tune", "evaluate", "recommend", "export", "compare", "report", "explain")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_VERB = re.compile(r"(?:python3? -m dualgnn_dist\.|dualgnn-dist )(\w+)(.*)")


@dataclass(frozen=True)
class Command:
    """A verb as a page shows it: the words behind it, as a shell would cut them."""

    page: str
    verb: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {self.verb} {' '.join(self.words)}"


def fences(text: str, language: str | None = None) -> Iterator[str]:
    """The fenced blocks of a page, of one language or of all."""
    for name, block in _FENCE.findall(text):
        if language in (None, name):
            yield block


def commands_of(page: str, text: str) -> Iterator[Command]:
    """Every command of a page's fenced blocks that names a verb, its lines joined.

    Its comment is left out, and the file that its output goes to. The generated help of a verb is no command: its
    example stands in the verb's own file.
    """
    for name, block in _FENCE.findall(text):
        if name == "text":
            continue
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            if match := _VERB.search(line):
                words = shlex.split(match[2], comments=True)
                yield Command(page, match[1], tuple(words[: words.index(">")] if ">" in words else words))


def commands() -> list[Command]:
    """The commands of all pages."""
    return [command for path in PAGES for command in commands_of(str(path.relative_to(ROOT)), path.read_text())]
