"""A table of texts, for the screen and for Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class TextTable:
    """Rows of cells below headings, in titled sections; the first column holds names, the others numbers."""

    headings: tuple[str, ...]
    sections: Mapping[str, Sequence[tuple[str, ...]]]

    def show(self, console: Console) -> None:
        """Prints a table a section."""
        for title, rows in self.sections.items():
            table = Table(title=title, title_justify="left", highlight=False)
            for place, heading in enumerate(self.headings):
                table.add_column(heading, justify="right" if place else "left", overflow="fold")
            for row in rows:
                table.add_row(*row)
            console.print(table)

    def markdown(self) -> str:
        """A Markdown table a section, under its title."""
        rule = "|".join(["---", *("---:" for _ in self.headings[1:])])
        parts = []
        for title, rows in self.sections.items():
            lines = ["| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in (self.headings, *rows)]
            parts.append("\n".join([f"**{_escaped(title)}**", "", lines[0], f"|{rule}|", *lines[1:]]) + "\n")
        return "\n".join(parts)


def _escaped(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")
