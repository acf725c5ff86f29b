"""The private names of Ray that are used are there, and the pin says which: an override of a lost name is silent."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

from ray.train.torch import TorchTrainer
from ray.tune.search.optuna import OptunaSearch

import dualgnn_dist
from dualgnn_dist.launch import ray_train
from dualgnn_dist.launch.ray_tune import study

ROOT = Path(dualgnn_dist.__file__).parents[1]


def test_ray_calls_the_handler_that_is_overridden() -> None:
    sources = [inspect.getsource(base) for base in TorchTrainer.__mro__ if base is not object]
    assert any("self._register_sigint_handler(" in source for source in sources)
    theirs = inspect.signature(TorchTrainer._register_sigint_handler)
    assert list(inspect.signature(ray_train._Trainer._register_sigint_handler).parameters) == list(theirs.parameters)


def test_a_search_keeps_optunas_trials_by_the_name_that_is_read() -> None:
    search = study.Search(None, {}, None, lambda: False)  # type: ignore[arg-type]
    assert isinstance(search, OptunaSearch) and search._ot_trials == {}


def test_the_pin_says_which_and_stops_before_the_next_release() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    named = re.findall(r"`(\w+)\.(_\w+)` \(([\w/]+\.py)\)", text)
    assert {name for _, name, _ in named} == {"_register_sigint_handler", "_ot_trials"}
    assert all(name in (ROOT / "dualgnn_dist" / path).read_text() for _, name, path in named)
    (ray,) = [need for need in tomllib.loads(text)["project"]["dependencies"] if need.startswith("ray[")]
    assert re.search(r">=(\d+)\.(\d+),<\1\.\d+$", ray)
