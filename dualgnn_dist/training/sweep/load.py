"""A sweep read from a file and overrides, checked to the last value before any trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dualgnn_dist.base.config import from_mapping
from dualgnn_dist.base.documents import read_yaml_text
from dualgnn_dist.base.errors import UserError, nearest
from dualgnn_dist.base.storage.names import check_name
from dualgnn_dist.base.storage.remote import is_url
from dualgnn_dist.training.load import from_values, merged, parse_overrides, read_yaml
from dualgnn_dist.training.sweep.space import KINDS, Distribution, Sweep, SweepConfig, option_text, searchable


def load_sweep(path: str | Path, overrides: Sequence[str] = ()) -> Sweep:
    """The sweep that a file and overrides describe.

    An override `search.section.key={kind: [..]}` searches one key more, or otherwise; `null` takes it out.

    Raises:
        UserError: what `config.load` refuses; there is nothing to search; a key or value that no run could have; a
            sweep has no place there.
    """
    file = read_yaml(path)
    own = {section: _overridden(section, file.pop(section, None), overrides) for section in ("search", "sweep")}
    sweep = from_mapping(SweepConfig, own["sweep"], "sweep")
    of_runs = [override for override in overrides if not override.startswith(("search.", "sweep."))]
    values = merged(file, parse_overrides(of_runs))
    search = {key: value for key, value in own["search"].items() if value is not None}
    if not search:
        raise UserError(
            f"{path} has no search section that says what to try, such as\n  search:\n"
            "    optimizer.learning_rate: {loguniform: [0.0001, 0.01]}\nor, behind the options of the command, "
            "'search.optimizer.learning_rate={loguniform: [0.0001, 0.01]}'"
        )
    paths = from_values(values, "").with_absolute_paths()  # trials have working directories of their own
    values = merged(values, [("data.store", paths.data.store), ("run.output", paths.run.output)])
    space = {str(key): _distribution(str(key), value) for key, value in search.items()}
    checked = Sweep(values, Path(path).stem, space, sweep)
    _check_place(checked)
    _check(checked)
    return checked


def _overridden(name: str, section: Any, overrides: Sequence[str]) -> dict[Any, Any]:
    """The file's `search` or `sweep` section with the overrides that are its own."""
    if section is not None and not isinstance(section, Mapping):
        raise UserError(f"config section {name!r} must be a mapping of keys to values, not {type(section).__name__}")
    values = dict(section or {})
    for override in overrides:
        key = override.removeprefix(f"{name}.").partition("=")[0]
        if not override.startswith(f"{name}.") or (name, key) == ("sweep", "study"):
            continue
        ((_, values[key]),) = parse_overrides([override])
    return {**values, **_study_of(values, overrides)} if name == "sweep" else values


def _study_of(values: Mapping[Any, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """`sweep.study`, which no message may repeat: there may be a password in it."""
    texts = [text for key, _, text in (override.partition("=") for override in overrides) if key == "sweep.study"]
    try:
        study = read_yaml_text(texts[-1]) if texts else values.get("study")
    except ValueError:
        study = ...
    if study is not None and not isinstance(study, str):
        raise UserError("sweep.study must be a URL as a text, in quotation marks where YAML needs them, or null")
    return {"study": study}


def _check_place(sweep: Sweep) -> None:
    if is_url(sweep.base.run.output):
        raise UserError(
            f"run.output={sweep.base.run.output!r} is a URL, and a sweep lies in a folder that all its nodes see: give "
            "one with run.output=..., and copy what it holds when it has ended"
        )
    try:
        check_name(f"{sweep.folder.name}_best")
    except ValueError as error:
        raise UserError(f"the sweep's {error}; name it with sweep.name=...") from None


def _distribution(key: str, value: Any) -> Distribution:
    where = f"search.{key}"
    if not isinstance(value, Mapping) or len(value) != 1:
        raise UserError(f"{where} must be one distribution, such as {{uniform: [0, 1]}}, not {value!r}")
    (kind, arguments) = next(iter(value.items()))
    if kind not in KINDS:
        raise UserError(f"{where}: unknown distribution {kind!r}{nearest(str(kind), KINDS)}")
    if not isinstance(arguments, list) or not arguments:
        raise UserError(f"{where}.{kind} must be a list, not {arguments!r}")
    if kind == "choice":
        try:
            options = tuple(option_text(option) for option in arguments)
        except TypeError:
            raise UserError(f"{where}.choice={arguments!r} may hold numbers, texts and lists of them alone") from None
        if len(set(options)) < len(options):
            raise UserError(f"{where}.choice names an option twice: {', '.join(options)}")
        return Distribution("choice", options=options)
    try:
        low, high = (_number(number, kind) for number in arguments)
    except (TypeError, ValueError):
        what = "whole numbers" if kind == "int" else "numbers"
        raise UserError(f"{where}.{kind} must be two {what}, low and high, not {arguments!r}") from None
    if not low < high or (kind == "loguniform" and low <= 0):
        raise UserError(
            f"{where}.{kind}={arguments!r}: low must be below high" + ", and above 0" * (kind == "loguniform")
        )
    return Distribution(kind, low, high)


def _number(value: Any, kind: str) -> float:
    if isinstance(value, bool) or (kind == "int" and not isinstance(value, int)):
        raise ValueError
    return value if kind == "int" else float(value)  # YAML 1.1 reads 1e-3 as a string


def _check(sweep: Sweep) -> None:
    """Every end of every distribution makes a config of its own; what none of them could be is refused here."""
    base = sweep.base
    for key, distribution in sweep.space.items():
        if not searchable(key):
            raise UserError(
                f"search.{key}: all trials share it; searched can be what decides the numbers of a step: settings of "
                "model (but its name), sampler, optimizer and train"
            )
        for value in distribution.extremes():
            sweep.run({key: value})
    if base.train.epochs < sweep.config.grace_epochs and sweep.config.stopper != "none":
        raise UserError(
            f"sweep.grace_epochs={sweep.config.grace_epochs} is more than train.epochs={base.train.epochs}: no trial "
            "could end early; lower it, or set sweep.stopper=none"
        )
