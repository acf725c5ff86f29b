"""MLflow and W&B through stand-ins for their packages: what they are told, and that their troubles stay their own."""

from __future__ import annotations

import importlib.machinery
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.training.listeners.trackers import RUN_IDS, check, tracking

SETTINGS = {"model": {"name": "dualgnn", "width": 8}, "run": {"name": "r"}}


class Book:
    """Stands in for a client: every call is written down; a name in `broken` raises."""

    def __init__(self, calls: list[tuple[str, Any, Any]], broken: set[str]) -> None:
        self._calls, self._broken = calls, broken

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            self._calls.append((name, arguments, keywords))
            if name in self._broken:
                raise ConnectionError(f"no {name}\nsecond line")
            if name == "get_experiment_by_name":
                return None
            return types.SimpleNamespace(info=types.SimpleNamespace(run_id="run-7"))

        return call


@pytest.fixture
def broken() -> set[str]:
    return set()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, broken: set[str]) -> list[tuple[str, Any, Any]]:
    made: list[tuple[str, Any, Any]] = []

    def module(name: str, **contents: Any) -> None:
        found = types.ModuleType(name)
        found.__spec__ = importlib.machinery.ModuleSpec(name, None)
        vars(found).update(contents)
        monkeypatch.setitem(sys.modules, name, found)

    def init(**keywords: Any) -> Book:
        made.append(("init", (), keywords))
        if "init" in broken:
            raise ConnectionError("no init")
        return Book(made, broken)

    module("mlflow", MlflowClient=lambda tracking_uri: Book(made, broken))
    module("mlflow.entities", Param=lambda *pair: pair, Metric=lambda *values: values)
    module("wandb", init=init)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT", "WANDB_SILENT"):
        monkeypatch.setenv(name, "1")  # so that what the code sets by default is undone with the test
    return made


def names(calls: list[tuple[str, Any, Any]]) -> list[str]:
    return [name for name, _, _ in calls]


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"'mlflow', which is not installed; pip install 'dualgnn-dist\[mlflow\]'"):
        check(["mlflow"])


def test_mlflow_gets_settings_metrics_and_the_end(tmp_path: Path, calls: list[tuple[str, Any, Any]]) -> None:
    with tracking(["mlflow"], tmp_path, SETTINGS, pytest.fail) as (book,):
        book.hear_epoch(3, {"validation/recall@20": 0.25})
    by_name = {name: (arguments, keywords) for name, arguments, keywords in calls}
    assert names(calls)[:4] == ["get_experiment_by_name", "create_experiment", "create_run", "log_batch"]
    parameters = next(keywords["params"] for name, _, keywords in calls if "params" in keywords)
    assert ("model.width", "8") in parameters
    (metric,) = by_name["log_batch"][1]["metrics"]
    assert (metric[0], metric[1], metric[3]) == ("validation/recall_at_20", 0.25, 3)
    assert by_name["set_terminated"][0] == ("run-7", "FINISHED")
    assert json.loads((tmp_path / RUN_IDS).read_text()) == {"mlflow": "run-7"}


def test_wandb_gets_settings_metrics_and_the_end(tmp_path: Path, calls: list[tuple[str, Any, Any]]) -> None:
    with tracking(["wandb"], tmp_path, SETTINGS, pytest.fail) as (book,):
        book.hear_epoch(3, {"validation/recall@20": 0.25})
    assert names(calls) == ["init", "define_metric", "log", "finish"]
    assert calls[0][2]["config"] == SETTINGS and calls[0][2]["name"] == tmp_path.name
    assert calls[2][1] == ({"validation/recall@20": 0.25, "epoch": 3},)
    assert calls[3][2] == {"exit_code": 0}


def test_a_resumed_run_is_the_same_run_over_there(tmp_path: Path, calls: list[tuple[str, Any, Any]]) -> None:
    for _ in range(2):
        with tracking(["mlflow", "wandb"], tmp_path, SETTINGS, pytest.fail):
            pass
    assert names(calls).count("create_run") == 1 and names(calls).count("update_run") == 1
    assert len({keywords["id"] for name, _, keywords in calls if name == "init"}) == 1


def test_a_run_that_fails_is_told_so(tmp_path: Path, calls: list[tuple[str, Any, Any]]) -> None:
    with pytest.raises(ZeroDivisionError), tracking(["mlflow", "wandb"], tmp_path, SETTINGS, pytest.fail):
        raise ZeroDivisionError
    assert ("set_terminated", ("run-7", "FAILED"), {}) in calls and ("finish", (), {"exit_code": 1}) in calls


@pytest.mark.parametrize(
    ("name", "where"), [("mlflow", "create_run"), ("mlflow", "log_batch"), ("wandb", "init"), ("wandb", "log")]
)
def test_its_troubles_are_said_once_and_stop_nothing(
    name: Any, where: str, tmp_path: Path, calls: list[tuple[str, Any, Any]], broken: set[str]
) -> None:
    broken.add(where)
    lines: list[str] = []
    with tracking([name], tmp_path, SETTINGS, lines.append) as (book,):
        book.hear_epoch(1, {"training/loss": 0.5})
        book.hear_epoch(2, {"training/loss": 0.4})
    assert lines == [f"{name} is left out from here on: ConnectionError: no {where}"]
    assert names(calls).count(where) == 1
