"""Every setting of a config by its whole name, `section.key`, and the nearest to what somebody wrote."""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Sequence

from dualgnn_dist.data.prepare.formats import FORMATS
from dualgnn_dist.models import MODELS
from dualgnn_dist.training.config import SECTIONS

SHORT = {"lr": "optimizer.learning_rate", "model": "model.name"}  # names that no likeness leads to the setting
FIRST = ("train", "model", "sampler", "optimizer", "run")  # sections, where several have a setting of a name
SAYABLE = 3
CLOSE = 0.6  # as of difflib


@functools.cache
def settings() -> tuple[str, ...]:
    """All of them, of all models and of all formats."""
    names = ["model.name"]
    sections = [(section, SECTIONS[section]) for section in (*FIRST, *SECTIONS) if section in SECTIONS]
    sections += [("model", model.Config) for model in MODELS.values()]
    sections += [("prepare.options", format.options) for format in FORMATS.values()]
    for section, cls in sections:
        names += [f"{section}.{field.name}" for field in dataclasses.fields(cls)]
    return tuple(dict.fromkeys(names))


def called(last: str) -> list[str]:
    """The settings whose name ends with this part."""
    return [name for name in settings() if name.rpartition(".")[2] == last]


def meant(text: str) -> Sequence[str]:
    """The settings that a name may have meant, the likeliest first; empty where none is near."""
    text = text[:200].strip("-").replace("-", "_")
    last = text.rpartition(".")[2]
    if text in settings():
        return [text]
    if text in SHORT:
        return [SHORT[text]]
    if same := called(last):
        return same[:SAYABLE]
    if "." in text and (close := difflib.get_close_matches(text, settings(), n=1, cutoff=CLOSE)):
        return close
    parts = {name.rpartition(".")[2]: name for name in reversed(settings())}
    return [parts[part] for part in difflib.get_close_matches(last, parts, n=1, cutoff=CLOSE)]


def did_you_mean(text: str, value: str) -> str:
    """`; did you mean section.key=value?` for what somebody wrote instead; empty where nothing is near."""
    names = meant(text)
    return f"; did you mean {' or '.join(f'{name}={value[:80]}' for name in names)}?" if names else ""
