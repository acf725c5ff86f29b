"""A setting given as a flag, without its section or in another one is answered with the setting that was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from dualgnn_dist import evaluate, prepare, train, tune
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.training.load import load, load_prepare, parse_overrides
from dualgnn_dist.training.settings.names import did_you_mean, meant, settings


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("--epochs", "train.epochs"),
        ("epochs", "train.epochs"),
        ("--train.epochs", "train.epochs"),
        ("--epoch", "train.epochs"),
        ("--batch-size", "sampler.batch_size"),
        ("learning_rate", "optimizer.learning_rate"),
        ("--lr", "optimizer.learning_rate"),
        ("--model", "model.name"),
        ("width", "model.width"),
        ("trian.epochs", "train.epochs"),
        ("optimizer.batch_size", "sampler.batch_size"),
        ("k-core", "prepare.k_core"),
        ("min_rating", "prepare.options.min_rating"),
        ("data.k_core", "prepare.k_core"),
    ],
)
def test_the_nearest_setting(text: str, setting: str) -> None:
    assert next(iter(meant(text))) == setting


def test_every_setting_is_its_own_nearest_and_what_is_near_none_has_none() -> None:
    assert all(meant(name) == [name] for name in settings())
    assert did_you_mean("--zzzz", "1") == ""
    assert did_you_mean("seed", "3").startswith("; did you mean run.seed=3 or prepare.seed=3")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "3"], "unrecognized arguments: --epochs; did you mean train.epochs=3?"),
        (["--train.epochs=3"], "unrecognized arguments: --train.epochs=3; did you mean train.epochs=3?"),
        (["--use-gpu", "a.b=1"], "did you mean resources.use_gpu=true?"),
        (["--hlep"], "did you mean --help?"),
        (["--zzzz"], "unrecognized arguments: --zzzz\n"),
    ],
)
@pytest.mark.parametrize("verb", [train, tune, prepare, evaluate])
def test_a_flag_that_is_a_setting(
    arguments: list[str], message: str, verb: object, capsys: pytest.CaptureFixture[str]
) -> None:
    needed = {"tune": ["--config", "x"], "evaluate": ["--run", "x"]}
    with pytest.raises(SystemExit) as ended:
        verb.main([*needed.get(verb.__name__.rpartition(".")[2], []), *arguments])  # type: ignore[attr-defined]
    assert ended.value.code == 2 and message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("prepare.user_column=x", "prepare has no setting 'user_column'; did you mean prepare.options.user_column?"),
        ("prepare.options.k_core=5", "prepare.options has no setting 'k_core'; did you mean prepare.k_core?"),
        ("prepare.separator=;", "did you mean prepare.options.separator?"),
        ("epochs=3", "override 'epochs=3' must read section.key=value; did you mean train.epochs=3?"),
        ("k_core=3", "override 'k_core=3' must read section.key=value; did you mean prepare.k_core=3?"),
        ("quickstart", "override 'quickstart' must read section.key=value; did you mean --config quickstart?"),
        ("mine.yml", "did you mean --config mine.yml?"),
        (__file__, f"did you mean `python -m dualgnn_dist.prepare --inspect {__file__}`"),
        ("prepare.input=*.csv", "within quotation marks, as \"prepare.input='TEXT'\""),
        ("prepare.options.min_ratng=3", "unknown config key 'prepare.options.min_ratng'; did you mean 'min_rating'?"),
        ("model.max_co_users=201", "model.max_co_users=201 asks for more co-users than prepare.num_co_users=200"),
    ],
)
def test_an_override_in_the_wrong_place(override: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        load_prepare(None, ["prepare.format=table", override])
    assert message in str(error.value)


def test_nothing_to_prepare_or_to_train_says_how_to_begin() -> None:
    with pytest.raises(UserError, match="`--inspect FILE` prints a config that fits a log"):
        load_prepare(None)
    with pytest.raises(UserError, match=r"name a config with --config FILE; did you mean --config mine\.yaml\?"):
        train.main(["run.seed=3", "mine.yaml"])


def test_more_co_users_than_the_store_will_keep_are_refused_before_it_is_made(tmp_path: Path) -> None:
    config = "data: {store: nowhere}\nmodel: {name: dualgnn}\nprepare: {format: synthetic, num_co_users: 40}\n"
    (tmp_path / "run.yaml").write_text(config)
    assert load(tmp_path / "run.yaml", ["model.max_co_users=40"]).prepare is not None
    for override in ("model.max_co_users=41", "prepare.num_co_users=39"):  # the model's default is 40
        with pytest.raises(UserError, match="keeps; raise that, or lower model"):
            load(tmp_path / "run.yaml", [override])
    load(tmp_path / "run.yaml", ["prepare.num_co_users=39", "model.name=lightgcn"])  # which aggregates none
    load(tmp_path / "run.yaml", ["model.max_co_users=41", "prepare.num_co_users=41"])
    (tmp_path / "run.yaml").write_text("data: {store: nowhere}\nmodel: {name: dualgnn}\ntrain: {batch_size: 3}\n")
    with pytest.raises(UserError, match=r"train has no setting 'batch_size'; did you mean sampler\.batch_size\?"):
        load(tmp_path / "run.yaml")


@pytest.mark.parametrize("mark", [",", ";", "|", ":", "#", "-", "*", "&", "!", "?", ">", "'", "\t", " "])
def test_a_mark_is_itself(mark: str) -> None:
    assert parse_overrides([f"prepare.options.separator={mark}"]) == [("prepare.options.separator", mark)]


def test_what_yaml_means_stays_what_it_is() -> None:
    written = {
        "a.b=~": None,
        "a.b=": None,
        "a.b=7": 7,
        "a.b=x": "x",
        "a.b=','": ",",
        "a.b=\\t": "\\t",
        "a.b=[1,2]": [1, 2],
    }
    assert [value for _, value in parse_overrides(list(written))] == list(written.values())
