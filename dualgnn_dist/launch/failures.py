"""What went wrong while a run went on: a sentence for the screen, the whole story in a file of the run's folder."""

from __future__ import annotations

import time
from pathlib import Path

from dualgnn_dist.base.screen import visible

FAILURES = "failures"


def write(folder: Path, sentence: str, story: str) -> str:
    """Writes the next file of `folder`/failures; returns the sentence with the file's name.

    Where the folder cannot be written the story comes behind the sentence: it must not be lost.
    """
    place = folder / FAILURES
    when = time.strftime("%Y-%m-%d %H:%M:%S %z")
    try:
        place.mkdir(parents=True, exist_ok=True)
        number = max((int(path.stem) for path in stories(folder)), default=0) + 1
        file = place / f"{number:04d}.txt"
        named = f"{sentence}; the whole story: {file}"
        file.write_text(visible(f"{sentence}\n{when}\n\n{story.rstrip()}\n"))
    except OSError as error:
        return (
            f"{sentence}; {place} cannot be written ({error.strerror}), so here is the whole story:\n{story.rstrip()}"
        )
    return named


def stories(folder: Path) -> set[Path]:
    """The files of a run."""
    return {path for path in (folder / FAILURES).glob("[0-9]*.txt") if path.stem.isdecimal()}


def sentence_of(file: Path) -> str:
    """What was said of a failure."""
    return file.read_text().partition("\n")[0]
