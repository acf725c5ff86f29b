"""What a sweep may try is decided before anything starts, and what it tries are runs that `train` could be given."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.training.load import load
from dualgnn_dist.training.sweep.folder import SweepFolder, Trial, best_of
from dualgnn_dist.training.sweep.load import load_sweep
from dualgnn_dist.training.sweep.space import Distribution, identity, option_text, value_at
from dualgnn_dist.training.sweep.study_url import without_password

BASE: dict[str, Any] = {
    "data": {"store": "stores/none"},
    "model": {"name": "dualgnn"},
    "train": {"epochs": 20},
    "run": {"output": "runs", "seed": 5},
    "for_model": {"dualgnn": {"optimizer.learning_rate": 0.003}},
    "search": {
        "optimizer.learning_rate": {"loguniform": ["1e-5", 0.1]},
        "model.num_layers": {"int": [1, 3]},
        "model.fusion": {"choice": ["weighted_sum", "mean"]},
        "sampler.fanouts": {"choice": [[10, 5], [5, 3], "all"]},
    },
}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def made(**sections: Any) -> Path:
        path = tmp_path / "sweep.yaml"
        path.write_text(yaml.safe_dump({**BASE, **sections}))
        return path

    return made


def test_a_trial_is_the_run_with_its_params(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sweep = load_sweep(write(), ["sweep.seeds=2", "train.patience=3"])
    params = {
        "optimizer.learning_rate": 1e-05,
        "model.num_layers": 3,
        "model.fusion": "mean",
        "sampler.fanouts": "[5, 3]",
    }
    first, second = sweep.run(params, 0), sweep.run(params, 1)
    assert (first.optimizer.learning_rate, first.model.settings.num_layers) == (1e-05, 3)
    assert (first.model.settings.fusion, first.sampler.fanouts, first.train.patience) == ("mean", (5, 3), 3)
    assert (first.run.seed, second.run.seed) == (5, 6)
    assert first.run.folder == tmp_path / "runs" / "sweep_dualgnn" / "trials" / identity(params) / "s5"
    assert first.data.store == str(tmp_path / "stores" / "none"), "a trial has a working directory of its own"
    monkeypatch.chdir("/")
    assert sweep.run(params).data.store == first.data.store
    saved = tmp_path / "trial.yaml"
    saved.write_text(first.to_yaml())
    assert load(saved) == first, "what a trial runs is a complete config"


def test_the_published_defaults_come_first_and_then_what_the_file_says(write: Write) -> None:
    points = load_sweep(write()).starting_points()
    published = {
        "optimizer.learning_rate": 1e-4,
        "model.num_layers": 2,
        "model.fusion": "weighted_sum",
        "sampler.fanouts": "[10, 5]",
    }
    assert points == [published, {**published, "optimizer.learning_rate": 0.003}]
    narrow = {"search": {"optimizer.learning_rate": {"uniform": [0.002, 0.01]}}}
    assert load_sweep(write(**narrow)).starting_points() == [{"optimizer.learning_rate": 0.003}]


@pytest.mark.parametrize(
    ("sections", "overrides", "message"),
    [
        ({"search": None}, [], "has no search section"),
        ({"search": {"optimizer.learning_rat": {"uniform": [0, 1]}}}, [], "did you mean 'learning_rate'"),
        ({"search": {"optimizer.learning_rate": {"unifrom": [0, 1]}}}, [], "did you mean 'uniform'"),
        ({"search": {"optimizer.learning_rate": 0.1}}, [], "must be one distribution"),
        ({"search": {"optimizer.learning_rate": {"uniform": [1, 0]}}}, [], "low must be below high"),
        ({"search": {"optimizer.learning_rate": {"loguniform": [0, 1]}}}, [], "and above 0"),
        ({"search": {"optimizer.learning_rate": {"uniform": [-1, 1]}}}, [], "learning_rate must be above 0"),
        ({"search": {"optimizer.learning_rate": {"uniform": 3}}}, [], "must be a list"),
        ({"search": {"model.num_layers": {"int": [1, 2.5]}}}, [], "two whole numbers"),
        ({"search": {"model.num_layers": {"uniform": [1, 3]}}}, [], "model.num_layers=1.0 must be a whole number"),
        ({"search": {"model.fusion": {"choice": ["mean", "men"]}}}, [], "did you mean 'mean'"),
        ({"search": {"model.fusion": {"choice": ["mean", "mean"]}}}, [], "names an option twice"),
        ({"search": {"train.epochs": {"int": [1, 9]}}}, [], "all trials share it"),
        ({"search": {"run.seed": {"int": [1, 9]}}}, [], "all trials share it"),
        ({"sweep": {"trails": 3}}, [], "did you mean 'trials'"),
        ({"sweep": {"trials": 0}}, [], "at least 1"),
        ({}, ["sweep.grace_epochs=21"], "more than train.epochs=20"),
        ({}, ["sweep.stopper=ash"], "did you mean 'asha'"),
        ({}, ["sweep.name=.."], "must be a plain folder name"),
        ({}, ["sweep.name=-rf"], "must be a plain folder name"),
        ({"search": {"model.fusion": {"choice": [datetime.date(2026, 1, 1)]}}}, [], "numbers, texts and lists"),
        ({}, ["run.output=s3://bucket/runs"], "run.output='s3://bucket/runs' is a URL"),
        ({}, ["run.output=file:///tmp/runs"], "is a URL"),
        ({}, ["search.optimizer.learning_rat={uniform: [0, 1]}"], "did you mean 'learning_rate'"),
        ({}, ["search.optimizer.beta1=0.9"], "search.optimizer.beta1 must be one distribution"),
        ({}, ["search.optimizer.beta1={uniform: [0"], "cannot be read"),
        ({}, [f"search.{key}=null" for key in BASE["search"]], "has no search section"),
    ],
)
def test_what_no_trial_could_run_is_refused(
    write: Write, sections: dict[str, Any], overrides: list[str], message: str
) -> None:
    with pytest.raises(UserError) as error:
        load_sweep(write(**sections), overrides)
    assert message in str(error.value)


def test_an_override_searches_one_key_more_otherwise_or_not_at_all(write: Write) -> None:
    overrides = ["search.optimizer.beta1={uniform: [0.5, 0.9]}", "search.model.num_layers={int: [2, 4]}"]
    space = load_sweep(write(), [*overrides, "search.model.fusion=null"]).space
    assert space["optimizer.beta1"] == Distribution("uniform", 0.5, 0.9)
    assert space["model.num_layers"] == Distribution("int", 2, 4) and "model.fusion" not in space
    assert list(load_sweep(write(search=None), overrides).space) == ["optimizer.beta1", "model.num_layers"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@host/db",
        "postgresql+psycopg2://me:hunter2: a/b@host:5432/db",
        "mysql://me@host/db?password=hunter2",
        "mysql://me@host/db?ssl_key=hunter2",
        "mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3Dhunter2",
    ],
)
def test_a_password_in_the_url_of_the_study_is_refused_and_not_repeated(write: Write, url: str) -> None:
    for sections, overrides in (({"sweep": {"study": url}}, []), ({}, [f"sweep.study={url}"])):
        with pytest.raises(UserError) as error:
            load_sweep(write(**sections), overrides)
        assert "hunter2" not in str(error.value)
        assert "DUALGNN_STUDY_PASSWORD" in str(error.value) or "quotation marks" in str(error.value)


def test_urls_without_a_password_are_taken_and_older_texts_lose_theirs(write: Write) -> None:
    for url in ("postgresql://me@host:5432/db", "sqlite:////a:b/c@d.db", "sqlite:///x.db?timeout=9"):
        assert load_sweep(write(sweep={"study": url})).config.study == url
    older = "study: postgresql://me:hunter2@host/db\nname: a@b\n"
    assert without_password(older) == "study: postgresql://me:***@host/db\nname: a@b\n"


values = st.one_of(
    st.booleans(), st.integers(-99, 99), st.text("ab1[]: ,-'", max_size=6), st.lists(st.integers(1, 9), max_size=3)
)


@settings(max_examples=200, deadline=None)
@given(value=values)
def test_a_choice_reads_back_as_it_was_written(value: Any) -> None:
    assert yaml.safe_load(option_text(value)) == value
    assert Distribution("choice", options=(option_text(value),)).holds(value)


def test_values_are_found_by_their_dotted_keys(write: Write) -> None:
    config = load_sweep(write()).base
    assert value_at(config, "model.name") == "dualgnn" and value_at(config, "model.width") == 64
    assert value_at(config, "sampler.fanouts") == [10, 5]


def trial(number: int, value: float | None, state: Any = "complete") -> Trial:
    return Trial(number, {"model.width": number}, state, value, 3, 1.5, None, (0.1,))


def test_a_trial_that_was_stopped_wins_only_where_none_ended() -> None:
    trials = [trial(0, 0.1), trial(1, 0.3, "stopped"), trial(2, 0.2), trial(3, None, "failed")]
    assert best_of(trials) == trials[2] and best_of(trials[1:2]) == trials[1]
    assert best_of(trials[3:]) is None and best_of([]) is None


def test_records_survive_a_line_cut_off(tmp_path: Path) -> None:
    folder = SweepFolder(tmp_path)
    folder.append(trial(0, 0.5))
    with (tmp_path / "trials.jsonl").open("a") as file:
        file.write('{"number": 1, "par')
    assert folder.trials() == [trial(0, 0.5)]
    folder.append(trial(1, 0.25))
    assert folder.trials() == [trial(0, 0.5), trial(1, 0.25)]


def test_a_sweep_is_resumed_as_it_was_or_not_at_all(write: Write, tmp_path: Path) -> None:
    sweep, folder = load_sweep(write()), SweepFolder(tmp_path / "sweep")
    with pytest.raises(UserError, match="there is no sweep to resume"):
        folder.start(sweep, resume=True)
    assert folder.start(sweep, resume=False) == []
    with pytest.raises(UserError, match="go on with --resume"):
        folder.start(sweep, resume=False)
    folder.start(load_sweep(write(), ["sweep.trials=50"]), resume=True)
    with pytest.raises(UserError, match=r"started with optimizer\.beta1=0\.9, the config says 0\.8"):
        folder.start(load_sweep(write(), ["optimizer.beta1=0.8"]), resume=True)


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[4] / "configs").glob("sweep_*.yaml")), ids=lambda path: path.stem
)
@pytest.mark.parametrize("model", ["dualgnn", "lightgcn", "lr_gccf"])
def test_the_sweeps_in_configs_start_from_the_defaults_and_the_values_of_the_file(path: Path, model: str) -> None:
    sweep = load_sweep(path, [f"model.name={model}"])
    points = sweep.starting_points()
    assert len(points) == (1 if model == "lr_gccf" else 2), "sweep_tiktok has values of its own for two models"
    assert all(sweep.run(point).model.name == model for point in points)
