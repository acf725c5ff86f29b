"""Every setting of a config, from the dataclasses that a config is read into: for the reference and for the schema."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from griffe import Docstring, DocstringSectionParameters
from text import ROOT

sys.path.insert(0, str(ROOT))  # as from the root of the repository, where nothing is installed

from dualgnn_dist.base.config import Decides, decides
from dualgnn_dist.data.prepare.formats import FORMATS
from dualgnn_dist.models import MODELS
from dualgnn_dist.sampling.draws import DRAWS
from dualgnn_dist.training.config import SECTIONS
from dualgnn_dist.training.sweep.space import SweepConfig

# Texts that name an entry of a table: the classes know them as texts, because the tables are open.
CHOICES: dict[str, tuple[str, ...]] = {
    "prepare.format": tuple(FORMATS),
    "model.name": tuple(MODELS),
    "sampler.draws": tuple(DRAWS),
}

# What the program puts in the place of a value that the file leaves out, beside the defaults of the classes.
LEFT_OUT = {"run.name": "file, model and seed"}


@dataclass(frozen=True)
class Setting:
    """One key of a config.

    Args:
        key: dotted, as an override names it.
        hint: the annotated type.
        default: `dataclasses.MISSING` where there is none.
        decides: see `base.config.setting`.
        description: empty where the class says nothing of it.
    """

    key: str
    hint: Any
    default: Any
    decides: Decides
    description: str


def classes() -> dict[str, type[Any]]:
    """Every class of settings by the section or table entry that it is of."""
    return {
        **SECTIONS,
        "sweep": SweepConfig,
        **{f"model {name}": model.Config for name, model in MODELS.items()},
        **{f"format {name}": entry.options for name, entry in FORMATS.items()},
    }


def settings(cls: type[Any], section: str) -> Iterator[Setting]:
    """The settings of a class, those of the classes within it behind the key that holds them."""
    hints, says, by_name = typing.get_type_hints(cls), descriptions(cls), decides(cls)
    for field in dataclasses.fields(cls):
        key, hint = f"{section}.{field.name}", hints[field.name]
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        yield Setting(key, hint, default, by_name[field.name], says.get(field.name, ""))
        for part in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(part):
                inner = settings(typing.cast(type[Any], part), key)
                yield from (dataclasses.replace(setting, decides=by_name[field.name]) for setting in inner)


def descriptions(cls: type[Any]) -> dict[str, str]:
    """Field -> what the `Args:` of the class, or of the nearest class that it derives from, say of it."""
    says: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        for section in Docstring(inspect.cleandoc(base.__dict__.get("__doc__") or "")).parse("google", warnings=False):
            if dataclasses.is_dataclass(base) and isinstance(section, DocstringSectionParameters):
                says.update({parameter.name: " ".join(parameter.description.split()) for parameter in section.value})
    return says


def summary(cls: type[Any]) -> str:
    """What the class is, in its own first paragraph."""
    return " ".join(inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].split())


def undocumented() -> list[str]:
    """The keys of which no class says what they are, such as `model lightgcn.num_layers`."""
    return [
        setting.key for name, cls in classes().items() for setting in settings(cls, name) if not setting.description
    ]


def words(hint: Any) -> str:
    """A type as somebody who writes YAML knows it."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(words(part) for part in parts)
    if origin is Literal:
        return choices(parts)
    if origin is tuple:
        return f"list of {_plural(parts[0])}" if parts[-1] is Ellipsis else f"list of {len(parts)} {_plural(parts[0])}"
    if origin is dict:
        return f"mapping of names to {'anything' if parts[1] is Any else _plural(parts[1])}"
    names = {int: "whole number", float: "number", str: "text", bool: "`true` or `false`", type(None): "`null`"}
    return names.get(hint, "mapping, see the next rows")


def choices(options: Sequence[Any]) -> str:
    """Such as "`mean`, `max` or `weighted_sum`"."""
    *others, last = (f"`{option}`" for option in options)
    return f"{', '.join(others)} or {last}" if others else last


def _plural(hint: Any) -> str:
    word = words(hint)
    return word if word.startswith("`") else f"{word}s"
