"""docs/config.schema.json: what an editor needs to complete and check a config. pydantic makes it of the dataclasses.

It knows keys, types and choices. Ranges, and what depends on other keys, the program refuses in words of its own.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from settings import CHOICES, FORMATS, LEFT_OUT, MODELS, SECTIONS, classes, descriptions, settings, summary

from dualgnn_dist.training.sweep.space import Kind, searchable

Schema = dict[str, Any]

DRAFT_7 = "http://json-schema.org/draft-07/schema#"  # the one that every editor knows
_NUMBER_AS_TEXT = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$"  # YAML 1.1 reads 1e-3 as a text
_FOR_MODEL = "A model's name -> section.key -> value: values that go with that model."
_SEARCH = "section.key of a run's config -> what trials draw its values from, such as {loguniform: [1e-4, 1e-2]}."


class _Generator(GenerateJsonSchema):
    """Classes with the descriptions of their `Args:` and no other keys; numbers as YAML reads them."""

    def dataclass_schema(self, schema: Any) -> Schema:
        """A section: a misspelt key is refused."""
        section = super().dataclass_schema(schema)
        for name, description in descriptions(schema["cls"]).items():
            section["properties"][name]["description"] = description
        return {**section, "description": summary(schema["cls"]), "additionalProperties": False}

    def float_schema(self, schema: Any) -> Schema:
        """A number, or the text that YAML makes of one."""
        return {"anyOf": [super().float_schema(schema), {"type": "string", "pattern": _NUMBER_AS_TEXT}]}

    def tuple_schema(self, schema: Any) -> Schema:
        """A list of one type: `prefixItems`, for lists of a fixed length, is younger than draft 7."""
        values = super().tuple_schema(schema)
        if "prefixItems" in values:
            values["items"], *others = values.pop("prefixItems")
            assert all(other == values["items"] for other in others), "a list of several types"
        return values

    def field_title_should_be_set(self, schema: Any) -> bool:
        """A key needs no title."""
        return False


def schema() -> Schema:
    """The schema of a config file: a run, and a sweep of runs."""
    adapters: list[Any] = [(name, "validation", TypeAdapter(cls)) for name, cls in classes().items()]
    references, whole = TypeAdapter.json_schemas(adapters, schema_generator=_Generator)
    definitions = whole["$defs"]
    names = {name: reference["$ref"].rpartition("/")[2] for (name, _), reference in references.items()}
    for name in (*SECTIONS, "sweep"):
        _adapt_section(name, definitions[names[name]])
    for name in MODELS:
        model = definitions[names[f"model {name}"]]
        model["properties"] = {"name": {"const": name}, **model["properties"]}
    options = {name: {"properties": {"options": _ref(names[f"format {name}"])}} for name in FORMATS}
    definitions[names["prepare"]] |= _by("format", options)
    sections = {name: _ref(names[name]) for name in SECTIONS}
    return {
        "$schema": DRAFT_7,
        "title": "A run of dualgnn_dist, or a sweep of runs",
        "type": "object",
        "properties": {
            "data": sections.pop("data"),
            "model": _model(names),
            **sections,
            "for_model": {"description": _FOR_MODEL, **_closed({name: _for_model(name, names) for name in MODELS})},
            "sweep": _ref(names["sweep"]),
            "search": {"description": _SEARCH, **_closed(dict.fromkeys(_searchable(), _ref("Distribution")))},
        },
        "required": ["data", "model"],
        "additionalProperties": False,
        "$defs": {**definitions, "Distribution": _distribution()},
    }


def blocks() -> dict[str, Callable[[], str]]:
    """What makes the file, by its name."""
    return {"docs/config.schema.json": lambda: json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"}


def _adapt_section(name: str, section: Schema) -> None:
    """What a file may leave out that the class needs, what it may choose, and sections without a key in them."""
    required = [key for key in section.get("required", []) if f"{name}.{key}" not in LEFT_OUT]
    section.pop("required", None)
    if required:
        section["required"] = required
    for key, values in section["properties"].items():
        if f"{name}.{key}" in LEFT_OUT:
            values["type"] = [values["type"], "null"]
        if f"{name}.{key}" in CHOICES:
            values["enum"] = list(CHOICES[f"{name}.{key}"])
    if name != "data":
        section["type"] = ["object", "null"]


def _model(names: Mapping[str, str]) -> Schema:
    """The section `model`: a name, and what goes with it."""
    return {
        "description": "Which model, and its own settings.",
        "type": "object",
        "properties": {"name": {"enum": list(MODELS), "description": "which model."}},
        "required": ["name"],
        **_by("name", {name: _ref(names[f"model {name}"]) for name in MODELS}),
    }


def _for_model(model: str, names: Mapping[str, str]) -> Schema:
    """The dotted keys of a run of `model`, each as its section has it; what lies deeper goes by its first two names."""
    overrides: dict[str, Schema] = {}
    deeper: dict[str, Schema] = {}
    for section, name in {**{name: name for name in SECTIONS}, "model": f"model {model}"}.items():
        for setting in settings(classes()[name], section):
            _, key, *below = setting.key.split(".")
            overrides |= {} if below else {setting.key: {"$ref": f"#/$defs/{names[name]}/properties/{key}"}}
            if below or typing.get_origin(setting.hint) is dict:
                deeper[rf"^{section}\.{key}\."] = {}
    return {**_closed(overrides), "patternProperties": deeper}


def _searchable() -> list[str]:
    """The dotted keys that trials may differ in, those of all models among them."""
    owners = [(name, name) for name in SECTIONS] + [("model", f"model {name}") for name in MODELS]
    keys = [setting.key for section, name in owners for setting in settings(classes()[name], section)]
    return [key for key in dict.fromkeys(keys) if searchable(key)]


def _distribution() -> Schema:
    """One kind, and its two ends or its options."""
    ends: dict[str, Any] = {"uniform": tuple[float, float], "loguniform": tuple[float, float], "int": tuple[int, int]}
    kinds: dict[str, Schema] = {
        kind: TypeAdapter(ends[kind] if kind in ends else list[Any]).json_schema(schema_generator=_Generator)
        for kind in typing.get_args(Kind)
    }
    kinds["choice"]["minItems"] = 1
    return {
        "description": "One of uniform, loguniform and int, each with its two ends, and choice with its options.",
        "type": "object",
        "properties": kinds,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }


def _by(key: str, schemas: Mapping[str, Schema]) -> Schema:
    """What else holds where `key` is one of these. An editor shows the errors of that one alone."""
    return {
        "allOf": [
            {"if": {"properties": {key: {"const": value}}, "required": [key]}, "then": then}
            for value, then in schemas.items()
        ]
    }


def _closed(properties: Mapping[str, Schema]) -> Schema:
    return {"type": ["object", "null"], "properties": dict(properties), "additionalProperties": False}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}
