"""What the screen says while a run goes on: whole lines, seconds apart, that read well in a terminal and in a log."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Say = Callable[[str], None]
SECONDS_BETWEEN_LINES = 5.0


def visible(text: str, keep: str = "\n\t") -> str:
    """The text with control characters, and those that turn its direction, written out as Python writes them.

    Ids, titles and names come from outside: on a terminal they could move the cursor, change colours or hide what
    stands there.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter in keep or letter.isprintable() else repr(letter)[1:-1] for letter in text)


def say(line: str) -> None:
    """Writes a line at once, so that a log that is followed shows it."""
    # Not `print`: inside a Ray Train worker that is patched to log, and the line would appear twice.
    sys.stdout.write(visible(line) + "\n")
    sys.stdout.flush()


def say_aside(line: str) -> None:
    """Writes a line about the program rather than its work to standard error, out of the way of results."""
    with contextlib.suppress(OSError, ValueError):  # a closed stream is no reason for the work to end
        stream = sys.stdout if _asides_joined else sys.stderr
        stream.write(visible(line) + "\n")
        stream.flush()


_asides_joined = False


def join_asides() -> None:
    """From now on `say_aside` speaks where `say` does: for workers, whose standard error nobody sees."""
    global _asides_joined
    _asides_joined = True


def console(file: IO[str] | None = None) -> Console:
    """What tables and lines of results are printed to; standard output unless `file` is given.

    It takes every string for text: no markup, no emoji, nothing that steers the terminal but its own colours.
    """
    from rich.console import Console  # who says lines alone needs none

    class TextConsole(Console):
        def render_str(self, text: str, *arguments: Any, **options: Any) -> Text:
            return super().render_str(visible(text), *arguments, **options)

    return TextConsole(file=file, markup=False, emoji=False, highlight=False)


def nothing(line: str) -> None:
    """Says nothing: for ranks other than 0."""


def duration(seconds: float) -> str:
    """`12 s`, `3:05`, `2:03:05`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class _Clock:
    """Seconds since it was made, but those spent on what happens once."""

    def __init__(self, seconds_apart: Callable[[], float]) -> None:
        self._seconds_apart, self._started = seconds_apart, time.perf_counter() - seconds_apart()

    def seconds(self) -> float:
        return max(time.perf_counter() - self._seconds_apart() - self._started, 1e-3)


class StepProgress:
    """Lines about the steps of a run.

    Args:
        total_steps: of the whole run, epochs times steps.
        done_steps: those done before (a resumed run).
        seconds_apart: the seconds so far that tell nothing of how long a step takes: kernels being compiled.
    """

    def __init__(
        self, say: Say, total_steps: int, done_steps: int, seconds_apart: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._say, self._total, self._first = say, total_steps, done_steps
        self._clock = _Clock(seconds_apart)
        self._last = time.perf_counter()

    def step(self, label: str, done_steps: int, loss: Callable[[], float], rate: float, waiting: float) -> None:
        """Says where the run is if the last line is some seconds old.

        Args:
            loss: called only when the line is said: it waits for the device.
            rate: interactions a second.
            waiting: share of the time that went into waiting for batches.
        """
        now = time.perf_counter()
        if now - self._last < SECONDS_BETWEEN_LINES:
            return
        self._last = now
        left = self._clock.seconds() / max(done_steps - self._first, 1) * (self._total - done_steps)
        self._say(
            f"{label}  loss {loss():.4f}  {rate:,.0f} interactions/s  waiting for batches {waiting:.0%}  "
            f"at most {duration(left)} left"
        )


class CountProgress:
    """Lines about work that goes through `total` things of one kind; `seconds_apart` as for `StepProgress`."""

    def __init__(
        self, say: Say, label: str, total: int, unit: str, seconds_apart: Callable[[], float] = lambda: 0.0
    ) -> None:
        self._say, self._label, self._total, self._unit = say, label, total, unit
        self._clock = _Clock(seconds_apart)
        self._last = time.perf_counter()

    def at(self, done: int) -> None:
        """Says how far it is if the last line is some seconds old."""
        now = time.perf_counter()
        if now - self._last < SECONDS_BETWEEN_LINES or done == 0:
            return
        self._last = now
        rate = done / self._clock.seconds()
        self._say(
            f"{self._label}  {done:,} of {self._total:,} {self._unit}  {rate:,.0f} a second  "
            f"{duration((self._total - done) / rate)} left"
        )


@dataclass(frozen=True)
class TextTable:
    """Rows of cells below headings, in titled sections; the first column holds names, the others numbers."""

    headings: tuple[str, ...]
    sections: Mapping[str, Sequence[tuple[str, ...]]]

    def show(self, console: Console) -> None:
        """Prints a table a section."""
        from rich.table import Table

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
    """A cell as text: neither a bar nor a tag of its own begins in it."""
    plain = visible(text.replace("\n", " "))
    return plain.replace("\\", r"\\").replace("|", r"\|").replace("<", "&lt;")
