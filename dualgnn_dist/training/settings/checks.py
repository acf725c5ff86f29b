"""Settings that do not go together, or stand in another section than theirs: refused before anything is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.formats import FORMATS
from dualgnn_dist.training.config import SECTIONS
from dualgnn_dist.training.settings.names import called


def refuse_misplaced(sections: Mapping[str, Any]) -> None:
    """Raises UserError for the first key that its section lacks and another one has: names that."""
    for section, values in sections.items():
        if section in SECTIONS and isinstance(values, Mapping):
            _refuse_others(section, values, SECTIONS[section])
    prepare = sections.get("prepare")
    if isinstance(prepare, Mapping) and isinstance(prepare.get("options"), Mapping):
        format = prepare.get("format")
        if isinstance(format, str) and format in FORMATS:
            _refuse_others("prepare.options", prepare["options"], FORMATS[format].options)


def _refuse_others(section: str, values: Mapping[str, Any], cls: type[Any]) -> None:
    known = {field.name for field in dataclasses.fields(cls)} | set(getattr(cls, "GONE", {}))
    for key in values:
        if key in known or not isinstance(key, str):
            continue
        elsewhere = [name for name in called(key) if name.rpartition(".")[0] != section]
        if elsewhere:
            raise UserError(f"{section} has no setting {key!r}; did you mean {' or '.join(elsewhere[:3])}?")


def refuse_too_few_co_users(max_co_users: Any, prepare: PrepareConfig | None) -> None:
    """Raises UserError where a model asks for more co-users than the store will keep, which takes long to make."""
    if prepare is None or type(max_co_users) is not int or max_co_users <= prepare.num_co_users:
        return
    raise UserError(
        f"model.max_co_users={max_co_users} asks for more co-users than prepare.num_co_users={prepare.num_co_users} "
        "keeps; raise that, or lower model.max_co_users"
    )
