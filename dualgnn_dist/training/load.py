"""One file is one complete run: YAML, overrides and defaults become one frozen, checked `RunConfig`."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dualgnn_dist
from dualgnn_dist.base.config import convert, from_mapping, shown
from dualgnn_dist.base.documents import read_yaml_text
from dualgnn_dist.base.errors import UserError, nearest
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.evaluation.metrics import metric_keys
from dualgnn_dist.models import MODELS
from dualgnn_dist.training.config import SECTIONS, ModelSection, RunConfig, RunSection
from dualgnn_dist.training.settings.checks import refuse_misplaced, refuse_too_few_co_users
from dualgnn_dist.training.settings.names import did_you_mean

MAX_DOTS = 16  # of an override
NO_TEXTS = "~[{"  # marks that are YAML: null, and the beginning of what was cut off
Change = tuple[str, Any]
"""A dotted key, `section.key`, and its value."""


def load(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The run that a YAML file and `section.key=value` overrides describe.

    Raises:
        UserError: the file is missing or no YAML; a key is unknown, missing or of the wrong type.
    """
    return from_values(read_values(path, overrides), Path(path).stem)


def from_values(sections: Mapping[str, Any], stem: str) -> RunConfig:
    """The run of the sections that `read_values` gives, named after `stem`, model and seed if it has no name.

    Raises:
        UserError: a key is unknown, missing or of the wrong type.
    """
    values = dict(sections)
    name = values["model"]["name"]
    _check_sections(values)
    refuse_misplaced(values)
    run = values.get("run") or {}
    if isinstance(run, Mapping) and run.get("name") is None:  # another model or seed alone is a run of its own
        run = {**run, "name": f"{stem}_{name}_s{run.get('seed', RunSection.seed)}"}
    values["run"] = run
    model = {key: value for key, value in values.pop("model").items() if key != "name"}
    built: dict[str, Any] = {
        "model": ModelSection(name=name, settings=from_mapping(MODELS[name].Config, model, "model"))
    }
    for section, cls in SECTIONS.items():
        if section != "prepare" or values.get("prepare") is not None:
            built[section] = from_mapping(cls, values.get(section), section)
    optimizer = built["optimizer"]
    if optimizer.learning_rate is None:
        built["optimizer"] = dataclasses.replace(optimizer, learning_rate=MODELS[name].learning_rate)
    _check_metric(built["train"].metric, built["evaluation"].ks)
    refuse_too_few_co_users(getattr(built["model"].settings, "max_co_users", None), built.get("prepare"))
    return RunConfig(**built)


def read_values(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The sections as mappings, before they are checked: the file, then what it says for the model, then the overrides.

    The file's `for_model` maps a model's name to values that go with that model; settings in its `model` section belong
    to the model it names. So another `model.name` alone leaves nothing behind that was meant for the first.
    """
    return merged(read_yaml(path), parse_overrides(overrides))


def merged(sections: Mapping[str, Any], changes: Sequence[Change]) -> dict[str, Any]:
    """What `read_values` makes of a file's sections, which are left as they are. Later wins:

    1. the file's sections, but of `model` only what was meant for the model that is asked for,
    2. the file's `for_model` of that model,
    3. `changes`.
    """
    values = copy.deepcopy(dict(sections))
    by_model = _by_model(values.pop("for_model", None))
    model = values.setdefault("model", {})
    if not isinstance(model, dict):
        raise UserError(f"config section 'model' must be a mapping with a name, not {shown(model)}")
    name = next((value for key, value in reversed(changes) if key == "model.name"), model.get("name"))
    for asked in [name, *by_model]:
        if not isinstance(asked, str) or asked not in MODELS:
            raise UserError(f"unknown model {shown(asked)}{nearest(str(asked)[:200], MODELS)}")
    if model.get("name") != name:
        values["model"] = {"name": name}
    for key, value in [*by_model.get(name, {}).items(), *changes]:
        _set(values, key.split("."), value)
    return values


def _by_model(section: Any) -> dict[Any, dict[str, Any]]:
    if section is not None and not isinstance(section, Mapping):
        raise UserError(f"for_model must be a mapping of model names to values, not {shown(section)}")
    by_model = {name: {} if values is None else values for name, values in (section or {}).items()}
    for name, values in by_model.items():
        if not isinstance(values, Mapping):
            raise UserError(f"for_model.{name} must be a mapping of section.key to values, not {shown(values)}")
        if "model.name" in values or not all(isinstance(dotted, str) for dotted in values):
            raise UserError(f"for_model.{name} must map section.key to values, and cannot change model.name")
    return by_model


def shipped_configs() -> dict[str, Path]:
    """The configs that come with the package, by name: `quickstart`, ..."""
    folder = Path(dualgnn_dist.__file__).parent / "configs"  # as installed; in a checkout they lie beside the package
    return {path.stem: path for path in (folder if folder.is_dir() else folder.parents[1] / "configs").glob("*.yaml")}


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The sections of a file, or of a config that comes with the package, as they stand there.

    Raises:
        UserError: the file is missing or holds something else.
    """
    shipped = shipped_configs()
    if str(path) in shipped and not Path(path).exists():
        path = shipped[str(path)]
    try:
        if Path(path).exists() and not Path(path).is_file():
            raise UserError(f"config file {str(path)!r} is a folder, a pipe or a device; name a plain file")
        values = read_yaml_text(Path(path).read_text(encoding="utf-8-sig"))
    except UserError:
        raise
    except FileNotFoundError:
        others = ", ".join(sorted(str(other) for other in Path(path).parent.glob("*.yaml"))) or "none"
        raise UserError(
            f"no config file {str(path)!r}; YAML files in that folder: {others}; "
            f"names of configs that come with the package: {', '.join(sorted(shipped))}"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"config file {str(path)!r} cannot be read as YAML: {error}") from error
    if not isinstance(values, dict):
        raise UserError(
            f"config file {str(path)!r} must hold sections (data:, model:, ..), not {type(values).__name__}"
        )
    return values


def parse_overrides(overrides: Sequence[str]) -> list[Change]:
    """`section.key=value` texts, as a user types them.

    Raises:
        UserError: one that does not read so.
    """
    return [_parse_override(override) for override in overrides]


def _parse_override(override: str) -> Change:
    key, equals, text = override.partition("=")
    if not equals or "." not in key or key.count(".") > MAX_DOTS:
        example = "" if equals else file_meant(override)
        example = example or did_you_mean(key, text or "VALUE") or ", e.g. optimizer.learning_rate=0.001"
        raise UserError(f"override {override[:200]!r} must read section.key=value{example}")
    if len(text) == 1 and not text.isalnum() and text not in NO_TEXTS:
        return key, text  # a separator: to YAML most marks are the beginning of something
    try:
        return key, read_yaml_text(text)
    except ValueError as error:
        cure = f"; for a text write it within quotation marks, as \"{key[:80]}='TEXT'\""
        raise UserError(f"the value of override {override[:200]!r} cannot be read: {error}{cure}") from error


def file_meant(word: str) -> str:
    """`; did you mean --config FILE?` for a word without its option; empty where it is no file."""
    if word in shipped_configs() or word.endswith((".yaml", ".yml")):
        return f"; did you mean --config {word}?"
    if len(word) < 200 and Path(word).exists():
        return f"; did you mean `python -m dualgnn_dist.prepare --inspect {word}`, which prints a config for it?"
    return ""


def _set(values: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    for position, key in enumerate(keys[:-1]):
        if not isinstance(values.get(key), Mapping):
            if values.get(key) is not None:
                raise UserError(
                    f"{'.'.join(keys[: position + 1])} is a value, not a section, so it has no {keys[-1]!r}"
                )
            values[key] = {}
        values = values[key]
    values[keys[-1]] = value


def _check_sections(names: Iterable[str]) -> None:
    known = [field.name for field in dataclasses.fields(RunConfig)]
    for name in names:
        if name not in known:
            raise UserError(f"unknown config section {name!r}{nearest(str(name), known)}")


def _check_metric(metric: str, ks: Sequence[int]) -> None:
    known = metric_keys(tuple(ks))
    if metric not in known:
        raise UserError(f"train.metric={metric!r} is not among the metrics{nearest(metric, known)}")


def load_prepare(
    path: str | Path | None, overrides: Sequence[str] = ()
) -> tuple[PrepareConfig, str | None, str | None]:
    """The `prepare` section alone, with or without a file, and what the file says of `data.store` and `data.cache`.

    Raises:
        UserError: there is nothing to prepare, or a value of the wrong type.
    """
    values: dict[str, Any] = read_yaml(path) if path is not None else {}
    for key, value in parse_overrides(overrides):
        _set(values, key.split("."), value)
    _check_sections(values.keys() - {"for_model"})
    if not values.get("prepare"):
        raise UserError(
            "nothing says what to prepare: give --config FILE, or prepare.format=... and its settings; "
            "`--inspect FILE` prints a config that fits a log"
        )
    data = values.get("data") or {}
    if not isinstance(data, Mapping):
        raise UserError(f"config section 'data' must be a mapping of keys to values, not {shown(data)}")
    store, cache = (convert(str | None, data.get(key), f"data.{key}") for key in ("store", "cache"))
    refuse_misplaced(values)
    config = from_mapping(PrepareConfig, values["prepare"], "prepare")
    model = values.get("model")
    refuse_too_few_co_users(model.get("max_co_users") if isinstance(model, Mapping) else None, config)
    return config, store, cache
