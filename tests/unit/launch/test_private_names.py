"""The private names of Ray that are used are there, and the pin says which: an override of a lost name is silent."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path
from typing import Any

import ray._private.worker
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.execution.callback import ControllerCallback, WorkerGroupCallback
from ray.train.v2._internal.execution.context import DistributedContext
from ray.train.v2._internal.execution.worker_group.worker import ActorMetadata, Worker
from ray.train.v2._internal.execution.worker_group.worker_group import WorkerGroup
from ray.tune.search.optuna import OptunaSearch

import dualgnn_dist
from dualgnn_dist.launch import ray_screen, ray_train
from dualgnn_dist.launch.ray_tune import study
from dualgnn_dist.launch.ray_watch import Watch

ROOT = Path(dualgnn_dist.__file__).parents[1]


def test_ray_calls_the_handler_that_is_overridden() -> None:
    sources = [inspect.getsource(base) for base in TorchTrainer.__mro__ if base is not object]
    assert any("self._register_sigint_handler(" in source for source in sources)
    theirs = inspect.signature(TorchTrainer._register_sigint_handler)
    assert list(inspect.signature(ray_train._Trainer._register_sigint_handler).parameters) == list(theirs.parameters)


def test_ray_train_calls_the_hooks_of_the_watch_and_a_worker_answers_beside_its_training() -> None:
    hooks = {name for base in (ControllerCallback, WorkerGroupCallback) for name in vars(base)}
    ours = {name for name in vars(Watch) if name.startswith(("after_", "before_"))}
    assert ours <= hooks
    assert list(inspect.signature(Worker.execute_async).parameters) == ["self", "fn", "fn_args", "fn_kwargs"]
    assert "after_worker_group_poll_status(" in inspect.getsource(WorkerGroup.poll_status)
    fields = {"rank": DistributedContext, "pid": ActorMetadata, "node_id": ActorMetadata, "node_ip": ActorMetadata}
    assert all(any(name in field for field in vars(cls)["__annotations__"]) for name, cls in fields.items())


def test_what_ray_prints_is_taken_over(tmp_path: Path) -> None:
    assert "ray_print_logs" in inspect.getsource(ray._private.worker)
    assert callable(ray._private.worker.print_to_stdstream)
    shown: list[dict[str, Any]] = []
    screen = ray_screen._Screen(tmp_path / "ray" / "standard_error.txt", shown.append)
    screen({"is_err": False, "pid": 7, "actor_name": "RayTrainWorker", "lines": ["epoch 1"]})
    screen({"is_err": True, "pid": 7, "actor_name": "RayTrainWorker", "lines": ["Traceback"]})
    screen({"is_err": False, "pid": "raylet", "lines": ["A worker died"]}, ignore_prefix=False)
    assert [batch["lines"] for batch in shown] == [["epoch 1"]]
    kept = (tmp_path / "ray" / "standard_error.txt").read_text()
    assert "Traceback" in kept and "A worker died" in kept


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
