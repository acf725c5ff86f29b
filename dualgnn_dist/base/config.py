"""Frozen dataclasses from untrusted mappings, and the one error that a user is meant to read.

A config is data somebody typed. Whatever does not fit is refused here with the key, the value and the nearest key that
exists, so that no part further up meets a setting of the wrong type or one that nothing reads.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import reprlib
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union

from dualgnn_dist.base.errors import UserError, nearest

T = TypeVar("T")


Decides = Literal["numbers", "measure", "length", "speed", "place"]


def setting(default: Any = dataclasses.MISSING, *, decides: Decides) -> Any:
    """A field of a config that says what it decides. A plain field decides numbers.

    `numbers`  what a step computes        `measure`  what the outcome is measured on, and by
    `length`   how long a run goes on      `speed`    how fast it goes: numbers change by rounding at the most
    `place`    where something lies

    From it follow, once and for all: what must be equal to resume a run (`numbers`, `measure`), what makes two runs one
    row of a comparison (these and `length`, but the seed), what a sweep may search (`numbers`), and which settings a
    store has to be made with.
    """
    return dataclasses.field(default=default, metadata={"decides": decides})


def decides(cls: Any) -> dict[str, Decides]:
    """Of a config class: the name of each setting -> what it decides."""
    return {field.name: field.metadata.get("decides", "numbers") for field in dataclasses.fields(cls)}


def from_mapping(cls: type[T], values: Mapping[str, Any] | None, where: str = "") -> T:
    """Makes the frozen dataclass `cls` from `values`, every key and type checked.

    A class attribute `GONE` of `cls` maps keys that were once settings to what is to be written instead.

    Args:
        where: the dotted path of this section, for the messages.

    Raises:
        UserError: an unknown or missing key, a value of the wrong type, or what the class itself refuses.
    """
    values = {} if values is None else values
    if not isinstance(values, Mapping):
        raise UserError(f"config section {where or 'root'!r} must be a mapping of keys to values, not {shown(values)}")
    hints = _hints(cls)  # type: ignore[arg-type]
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    for key in values:
        if key in getattr(cls, "GONE", {}):
            raise UserError(f"{_dotted(where, key)} is gone: {cls.GONE[key]}")  # type: ignore[attr-defined]
        if key not in fields:
            raise UserError(f"unknown config key {_dotted(where, str(key))[:200]!r}{nearest(str(key)[:200], fields)}")
    made = {}
    for name, field in fields.items():
        if name in values:
            made[name] = convert(hints[name], values[name], _dotted(where, name))
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise UserError(f"config key {_dotted(where, name)!r} is missing and has no default")
    try:
        return cls(**made)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"config section {where!r}: {error}") from error


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    """Evaluating them takes longer than all the rest of a small section, and a manifest has thousands."""
    return typing.get_type_hints(cls)


def convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the annotated type: a number, text, bool, Literal, tuple, dict, union or dataclass, however nested."""
    origin = typing.get_origin(hint)
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return from_mapping(hint, value, where)  # type: ignore[arg-type]
    if origin is Literal:
        if value in typing.get_args(hint) and not isinstance(value, float):
            return value
        options = [str(option) for option in typing.get_args(hint)]
        raise UserError(f"{where}={shown(value)} is not one of {', '.join(options)}{nearest(str(value), options)}")
    if origin in (Union, types.UnionType):
        return _convert_union(hint, value, where)
    if origin is tuple:
        return _convert_tuple(hint, value, where)
    if origin is dict and isinstance(value, Mapping):
        key_hint, value_hint = typing.get_args(hint)
        return {
            convert(key_hint, key, where): convert(value_hint, item, _dotted(where, str(key)))
            for key, item in value.items()
        }
    if hint is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        return _convert_float(value, where)
    if hint in (int, str, bool, type(None)) and type(value) is hint:
        return value
    raise _wrong_type(hint, value, where)


def _wrong_type(hint: Any, value: Any, where: str) -> UserError:
    """Says what a value must be, and how it is written where a few letters make it that."""
    kinds = typing.get_args(hint) if typing.get_origin(hint) in (Union, types.UnionType) else (hint,)
    origins = [typing.get_origin(kind) for kind in kinds]
    cure = ""
    if str in kinds and isinstance(value, (bool, int, float)):
        cure = f"; a text of digits or words of YAML stands within quotation marks: \"{where}='TEXT'\""
    elif isinstance(value, str) and tuple in origins:
        cure = f"; a list is written [{value[:80]}]"
    elif isinstance(value, str) and dict in origins:
        cure = f"; a mapping is written {{NAME: {value[:80]}}}"
    return UserError(f"{where}={shown(value)} must be {_type_name(hint)}, not {type(value).__name__}{cure}")


def plain(config: Any) -> Any:
    """The inverse of `from_mapping`: dataclasses to mappings and tuples to lists, as YAML writes them."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {field.name: plain(getattr(config, field.name)) for field in dataclasses.fields(config)}
    if isinstance(config, Mapping):
        return {key: plain(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return [plain(value) for value in config]
    return config


def _convert_float(value: float | str, where: str) -> float:
    try:
        number = float(value)  # YAML 1.1 reads 1e-3 as a string
    except ValueError:
        raise UserError(f"{where}={shown(value)} must be a number, not str") from None
    if not math.isfinite(number):  # it would pass every check for a range, and fail far from here
        raise UserError(f"{where}={shown(value)} must be a finite number")
    return number


def _convert_union(hint: Any, value: Any, where: str) -> Any:
    for option in typing.get_args(hint):
        if dataclasses.is_dataclass(option) and isinstance(value, Mapping):
            return convert(option, value, where)  # its own message says more than that nothing fits
        try:
            return convert(option, value, where)
        except UserError:
            continue
    raise _wrong_type(hint, value, where)


def _convert_tuple(hint: Any, value: Any, where: str) -> tuple[Any, ...]:
    hints = typing.get_args(hint)
    if not isinstance(value, (list, tuple)):
        raise _wrong_type(hint, value, where)
    if len(hints) == 2 and hints[1] is Ellipsis:
        hints = (hints[0],) * len(value)
    if len(hints) != len(value):
        raise UserError(f"{where}={shown(value)} must have {len(hints)} values, not {len(value)}")
    return tuple(convert(item_hint, item, where) for item_hint, item in zip(hints, value, strict=True))


def _type_name(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_type_name(option) for option in arguments)
    if origin is Literal:
        return " or ".join(repr(option) for option in arguments)
    if origin is tuple:
        return f"a list of {_type_name(arguments[0])}"
    if origin is dict:
        return f"a mapping to {_type_name(arguments[1])}"
    if dataclasses.is_dataclass(hint):
        return "a mapping of " + ", ".join(field.name for field in dataclasses.fields(hint))
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", Any: "any value"}
    return {**names, type(None): "null"}.get(hint, getattr(hint, "__name__", str(hint)))


def shown(value: Any) -> str:
    """As Python writes it, if that is not too long for a sentence."""
    words = reprlib.Repr()
    words.maxstring = words.maxother = words.maxlong = 200
    words.maxdict = words.maxlist = words.maxtuple = 12
    return words.repr(value)


def _dotted(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections as `section.key` -> value."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            found.update(flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = value
    return found
