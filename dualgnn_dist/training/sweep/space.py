"""What a sweep tries: the `search` and `sweep` sections of a config file, as data.

`search` maps the dotted keys of a run's config to distributions:

    search:
      optimizer.learning_rate: {loguniform: [1e-4, 1e-2]}
      model.num_layers: {int: [1, 3]}
      model.fusion: {choice: [weighted_sum, mean]}
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from dualgnn_dist.base.storage.names import check_name
from dualgnn_dist.training.config import RunConfig, decision
from dualgnn_dist.training.load import from_values, merged
from dualgnn_dist.training.sweep.study_url import check_study_url

Kind = Literal["uniform", "loguniform", "int", "choice"]
Params = Mapping[str, Any]  # dotted key -> number, or the text of a choice

KINDS = ("uniform", "loguniform", "int", "choice")
_SHARED = ("model.name", "run.seed")  # another model has other settings; a point's seeds are the sweep's


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """How a sweep goes.

    Args:
        name: of its folder in `run.output`; by default of the file and the model.
        trials: points of the search space that are tried.
        seeds: runs of each point; their mean counts.
        stopper: which trials end early, by the validation metric: `asha` (Li et al., MLSys 2020) keeps the best of
            those that came equally far, `median` those above the median of the others, `none` all.
        grace_epochs: before that nothing ends early.
        reduction: of `asha`: one of so many goes on at each rung.
        concurrency: trials at a time; null: as many as the cluster's CPUs or GPUs allow.
        study: where Optuna keeps the study, as an SQLAlchemy URL without a password, which the environment variable
            DUALGNN_STUDY_PASSWORD holds; null: SQLite in the sweep's folder.
        seed: of the sampler that chooses the points.
    """

    name: str | None = None
    trials: int = 20
    seeds: int = 1
    stopper: Literal["asha", "median", "none"] = "asha"
    grace_epochs: int = 10
    reduction: int = 3
    concurrency: int | None = None
    study: str | None = None
    seed: int = 1

    def __post_init__(self) -> None:
        if min(self.trials, self.seeds, self.grace_epochs) < 1 or self.reduction < 2:
            raise ValueError("trials, seeds and grace_epochs must be at least 1, reduction at least 2")
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError("concurrency must be at least 1, or null")
        if self.name is not None:
            check_name(self.name)
            check_name(f"{self.name}_best")  # what its best trial is called as a run
        if self.study is not None:
            check_study_url(self.study)


@dataclass(frozen=True)
class Distribution:
    """Of one searched value: from `low` to `high`, both included, or one of `options`, as texts."""

    kind: Kind
    low: float = 0.0
    high: float = 0.0
    options: tuple[str, ...] = ()

    def holds(self, value: Any) -> bool:
        """Whether a value of a config could be drawn."""
        if self.kind == "choice":
            return option_text(value) in self.options
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return is_number and self.low <= value <= self.high

    def as_param(self, value: Any) -> Any:
        """A config's value as the search knows it."""
        return option_text(value) if self.kind == "choice" else value

    def extremes(self) -> tuple[Any, ...]:
        """Values that hold if all do: the options, or both ends."""
        return self.options if self.kind == "choice" else (self.low, self.high)


@dataclass(frozen=True)
class Sweep:
    """A checked sweep: `values` are the sections of a run's config, to which a trial's params are overrides."""

    values: Mapping[str, Any]
    stem: str
    space: Mapping[str, Distribution]
    config: SweepConfig

    @property
    def base(self) -> RunConfig:
        """The run with nothing searched."""
        return self.run({})

    @property
    def folder(self) -> Path:
        """Of the whole sweep."""
        return Path(self.base.run.output).absolute() / (self.config.name or f"{self.stem}_{self.base.model.name}")

    def run(self, params: Params, seed: int = 0) -> RunConfig:
        """A trial's run with its `seed`-th seed, in a folder that its params decide."""
        first = int((self.values.get("run") or {}).get("seed", 1))
        config = from_values(merged(self.values, [(key, _value_of(param)) for key, param in params.items()]), "")
        if not params:
            return config
        output = str(self.folder / "trials" / identity(params))
        run = dataclasses.replace(config.run, seed=first + seed, name=f"s{first + seed}", output=output)
        return dataclasses.replace(config, run=run).with_absolute_paths()

    def starting_points(self) -> list[dict[str, Any]]:
        """The published defaults, and the file's own values where they are others; only points within the space."""
        values = merged(self.values, [])
        for key in self.space:
            section, _, name = key.partition(".")
            if isinstance(values.get(section), dict):
                values[section].pop(name, None)
        points = []
        for config in (from_values(values, ""), self.base):
            point = {key: value_at(config, key) for key in self.space}
            if all(self.space[key].holds(value) for key, value in point.items()):
                points.append({key: self.space[key].as_param(value) for key, value in point.items()})
        return [point for k, point in enumerate(points) if point not in points[:k]]


def searchable(key: str) -> bool:
    """Whether trials may differ in `section.key` of their configs."""
    section, _, name = key.partition(".")
    return section != "prepare" and key not in _SHARED and decision(section, name) == "numbers"


def value_at(config: RunConfig, key: str) -> Any:
    """A config's value by its dotted key."""
    value: Any = config
    for name in key.split("."):
        value = getattr(value.settings if value is config.model and name != "name" else value, name)
    return list(value) if isinstance(value, tuple) else value


def identity(params: Params) -> str:
    """A short name that the params decide: the trial that was killed finds its folder again."""
    return hashlib.blake2b(json.dumps(params, sort_keys=True).encode(), digest_size=5).hexdigest()


def _value_of(param: Any) -> Any:
    """A param as a config's value: an option of a choice is a text that reads as one."""
    return yaml.safe_load(param) if isinstance(param, str) else param


def option_text(value: Any) -> str:
    """An option of a choice as a text that reads back as the same value: Optuna and records keep plain values."""
    return value if isinstance(value, str) and _reads_back(value) else json.dumps(value)


def _reads_back(text: str) -> bool:
    try:
        return yaml.safe_load(text) == text
    except yaml.YAMLError:
        return False
