"""The tables of docs/config.md: every key of a config, what it takes, its default, what it decides, and what it is."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable
from typing import Any

from settings import (
    CHOICES,
    FORMATS,
    LEFT_OUT,
    MODELS,
    SECTIONS,
    Setting,
    SweepConfig,
    choices,
    settings,
    summary,
    words,
)
from text import table


def _takes(setting: Setting) -> str:
    if setting.key in CHOICES:
        return choices(CHOICES[setting.key])
    return words(setting.hint)


def _default(setting: Setting) -> str:
    if setting.key in LEFT_OUT:
        return LEFT_OUT[setting.key]
    if setting.default is dataclasses.MISSING:
        return "needed"
    return f"`{setting.default if isinstance(setting.default, str) else json.dumps(setting.default)}`"


def _rows(rows: Iterable[Setting], with_decides: bool) -> str:
    """One row a setting. Where all decide the same, or nothing of a run, the column is left out."""
    headings = ["key", "takes", "default", *(["decides"] if with_decides else []), "what it is"]
    cells = [
        [
            f"`{setting.key}`",
            _takes(setting),
            _default(setting),
            *([setting.decides] if with_decides else []),
            setting.description,
        ]
        for setting in rows
    ]
    return table(headings, cells)


def sections() -> str:
    """A heading and a table for each section of a run's config, but for `model`."""
    return "\n\n".join(
        f"### Section {section}\n\n{summary(cls)}\n\n{_rows(settings(cls, section), True)}"
        for section, cls in SECTIONS.items()
    )


def models() -> str:
    """A heading and a table for each model."""
    name = Setting("model.name", str, dataclasses.MISSING, "numbers", "which model; the other keys are its own")
    return "\n\n".join([_rows([name], False), *(_model(name, model) for name, model in MODELS.items())])


def _model(name: str, model: Any) -> str:
    rate = f"`optimizer.learning_rate: null` means {model.learning_rate:g}."
    needs = " It needs item content." if model.needs_content else ""
    rows = _rows(settings(model.Config, "model"), False)
    return f"### Model {name}\n\n{summary(model.Config)} {rate}{needs}\n\n{rows}"


def formats() -> str:
    """A heading and a table for each input format."""
    return "\n\n".join(
        f"### Format {name}\n\n{summary(entry.options)}\n\n{_rows(settings(entry.options, 'prepare.options'), False)}"
        for name, entry in FORMATS.items()
    )


def sweep() -> str:
    """The table of the `sweep` section."""
    return _rows(settings(SweepConfig, "sweep"), False)


def blocks() -> dict[str, Callable[[], str]]:
    """Every table of this file by its name in the page."""
    return {"config-sections": sections, "config-models": models, "config-formats": formats, "config-sweep": sweep}
