"""One YAML file and overrides become one complete run; whatever does not fit is refused with its name."""

from __future__ import annotations

import ast
import dataclasses
import typing
from pathlib import Path
from typing import Any

import pytest
import yaml

import dualgnn_dist
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats import FORMATS
from dualgnn_dist.evaluation.metrics import metric_keys
from dualgnn_dist.models import MODELS
from dualgnn_dist.training.config import RunConfig
from dualgnn_dist.training.load import load, load_prepare

PACKAGE = Path(dualgnn_dist.__file__).parent
CONFIGS = sorted(
    set((PACKAGE.parent / "configs").glob("*.yaml")) - set((PACKAGE.parent / "configs").glob("sweep_*.yaml"))
)

SMALL: dict[str, Any] = {
    "data": {"store": "stores/x"},
    "model": {"name": "dualgnn", "width": 8, "fusion": "max"},
    "for_model": {"dualgnn": {"optimizer.learning_rate": 0.5}, "bpr_mf": {"sampler.batch_size": 7, "model.width": 3}},
    "optimizer": {"beta1": 0.8},
    "run": {"name": "try"},
}


def write(path: Path, values: Any) -> Path:
    (path / "run.yaml").write_text(values if isinstance(values, str) else yaml.safe_dump(values))
    return path / "run.yaml"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write(tmp_path, SMALL)


def test_a_file_its_defaults_and_overrides(small: Path) -> None:
    config = load(small, ["sampler.fanouts=[4,3]", "train.patience=null", "run.seed=9", "optimizer.epsilon=1e-6"])
    assert (config.model.name, config.model.settings.width, config.model.settings.num_layers) == ("dualgnn", 8, 2)
    assert (config.optimizer.beta1, config.optimizer.beta2, config.optimizer.epsilon) == (0.8, 0.999, 1e-6)
    assert config.sampler.fanouts == (4, 3) and config.train.patience is None and config.prepare is None
    assert config.run.seed == 9 and config.run.folder == Path("runs/try")
    assert load(small, ["run.seed=1", "run.seed=2"]).run.seed == 2  # the last one counts


def test_a_run_without_a_name_is_named_after_its_file_model_and_seed(tmp_path: Path) -> None:
    path = write(tmp_path, {key: value for key, value in SMALL.items() if key != "run"})
    assert load(path, ["model.name=lightgcn"]).run.name == f"{path.stem}_lightgcn_s1"
    assert load(path, ["run.seed=7"]).run.name == f"{path.stem}_dualgnn_s7"


def test_the_model_decides_its_learning_rate_for_model_and_overrides_come_after(small: Path) -> None:
    assert load(small).optimizer.learning_rate == 0.5
    assert load(small, ["optimizer.learning_rate=0.1"]).optimizer.learning_rate == 0.1
    for name in ("lightgcn", "bpr_mf"):
        assert load(small, [f"model.name={name}"]).optimizer.learning_rate == MODELS[name].learning_rate
    assert load(small, ["optimizer.learning_rate=null"]).optimizer.learning_rate == MODELS["dualgnn"].learning_rate


def test_another_model_by_name_alone_leaves_nothing_of_the_first(small: Path) -> None:
    config = load(small, ["model.name=bpr_mf"])
    assert config.model.settings == MODELS["bpr_mf"].Config(width=3)
    assert config.sampler.batch_size == 7 and config.optimizer.beta1 == 0.8
    assert load(small, ["model.name=lightgcn"]).model.settings == MODELS["lightgcn"].Config()
    assert load(small, ["model.width=5", "model.name=lightgcn"]).model.settings.width == 5
    assert load(small, ["model.name=dualgnn"]) == load(small)  # the same name changes nothing


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trian": {}}, "unknown config section 'trian'; did you mean 'train'?"),
        ({"train": {"epoch": 3}}, "unknown config key 'train.epoch'; did you mean 'epochs'?"),
        ({"model": {"name": "dualgnn", "layers": 3}}, "unknown config key 'model.layers'; did you mean 'num_layers'?"),
        ({"model": {"name": "dualgcn"}}, "unknown model 'dualgcn'; did you mean 'dualgnn'?"),
        ({"model": {"width": 3}}, "unknown model None; "),
        ({"model": "dualgnn"}, "config section 'model' must be a mapping with a name, not 'dualgnn'"),
        ({"for_model": {"dualgn": {}}}, "unknown model 'dualgn'; did you mean 'dualgnn'?"),
        ({"for_model": {"dualgnn": {"optimizer.rate": 1}}}, "unknown config key 'optimizer.rate'"),
        ({"for_model": {"dualgnn": 3}}, "for_model.dualgnn must be a mapping of section.key to values, not 3"),
        ({"for_model": [1]}, "for_model must be a mapping of model names to values, not [1]"),
        ({"for_model": {"dualgnn": {"width": 1}}}, "unknown config section 'width'"),
        ({"for_model": {"dualgnn": {1: 1}}}, "the key 1 is no text; put it between quotes"),
        (
            {"for_model": {"dualgnn": {"model.name": "x"}}},
            "for_model.dualgnn must map section.key to values, and cannot",
        ),
        ({"model": {"name": ["dualgnn"]}}, "unknown model ['dualgnn']; did you mean 'dualgnn'?"),
        ({"data": {}}, "config key 'data.store' is missing"),
        ({"data": None}, "config key 'data.store' is missing"),
        ({"data": "stores/x"}, "config section 'data' must be a mapping"),
        ({"run": "first"}, "config section 'run' must be a mapping of keys to values, not 'first'"),
        ({"run": {"name": "a/b"}}, "config section 'run': name 'a/b' must be a plain folder name"),
        ({"run": {"name": "a", "seed": -1}}, "seed must not be negative"),
        ({"sampler": {"batch_size": "many"}}, "sampler.batch_size='many' must be a whole number, not str"),
        ({"sampler": {"batch_size": 0}}, "batch_size, threads, prefetch and num_negatives must be at least 1"),
        ({"sampler": {"fanouts": []}}, "fanouts must be numbers of at least 1, or 'all'"),
        ({"sampler": {"fanouts": "al"}}, "sampler.fanouts='al' must be"),
        ({"sampler": {"co_users": 0}}, "model.max_co_users=0 leaves co-users out"),
        ({"sampler": {"co_user_fanout": 0}}, "co_user_fanout must be at least 1, or null"),
        (
            {"sampler": {"draws": "sharde"}},
            "draws='sharde' is not one of independent, shared, pyg_lib; did you mean 's",
        ),
        (
            {"sampler": {"draws": "pyg_lib", "exclude_positives": True}},
            "exclude_positives needs other draws than pyg_lib",
        ),
        ({"sampler": {"backend": "numba"}}, "sampler.backend is gone: write sampler.draws=pyg_lib for pyg_lib"),
        ({"optimizer": {"learning_rate": 0}, "for_model": None}, "learning_rate must be above 0"),
        ({"optimizer": {"beta1": 1.0}}, "beta1 and beta2 must lie in [0, 1)"),
        ({"train": {"epochs": 0}}, "epochs, eval_every and patience must be at least 1"),
        (
            {"train": {"metric": "recall@7"}},
            "train.metric='recall@7' is not among the metrics; did you mean 'recall@5'?",
        ),
        ({"train": {"metric": "acuracy"}}, "train.metric='acuracy' is not among the metrics"),
        ({"evaluation": {"ks": [5, 10]}}, "train.metric='recall@20' is not among the metrics"),
        ({"evaluation": {"ks": [0]}}, "ks must be list lengths of at least 1"),
        ({"resources": {"num_workers": [3, 2]}}, "[least, most] with 1 <= least <= most"),
        ({"resources": {"num_workers": [0, 2]}}, "[least, most] with 1 <= least <= most"),
        ({"resources": {"cpus_per_worker": 0}}, "cpus_per_worker must be at least 1"),
        ({"checkpoint": {"every_steps": 0}}, "every_steps must be at least 1, or null"),
        ({"prepare": {"format": "tabel"}}, "unknown format 'tabel'; did you mean 'table'?"),
        ({"prepare": {"format": "synthetic", "options": {"num_user": 3}}}, "prepare.options.num_user"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load(write(tmp_path, {**SMALL, **change}))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs=3", "override 'epochs=3' must read section.key=value; did you mean train.epochs=3?"),
        ("train.epochs", "override 'train.epochs' must read section.key=value"),
        ("train.epochs=[", "the value of override 'train.epochs=[' cannot be read"),
        ("train.epochs=many", "train.epochs='many' must be a whole number"),
        ("train.epoch=3", "unknown config key 'train.epoch'; did you mean 'epochs'?"),
        ("tain.epochs=3", "unknown config section 'tain'; did you mean 'train'?"),
        ("data.store.path=3", "data.store is a value, not a section, so it has no 'path'"),
        ("model.name=lightgnc", "unknown model 'lightgnc'; did you mean 'lightgcn'?"),
    ],
)
def test_a_wrong_override_is_refused(override: str, message: str, small: Path) -> None:
    with pytest.raises(UserError) as error:
        load(small, [override])
    assert message in str(error.value)


def test_a_file_that_is_none(tmp_path: Path, small: Path) -> None:
    with pytest.raises(UserError, match=r"no config file .*other\.yaml'; YAML files in that folder: .*run\.yaml"):
        load(tmp_path / "other.yaml")
    with pytest.raises(UserError, match=r"must hold sections .*, not list"):
        load(write(tmp_path, [1]))
    with pytest.raises(UserError, match="cannot be read as YAML"):
        load(write(tmp_path, "a: [1"))


@pytest.mark.parametrize("name", list(MODELS))
def test_what_a_run_writes_down_loads_as_itself(name: str, small: Path, tmp_path: Path) -> None:
    config = load(small, [f"model.name={name}", "prepare.format=synthetic", "resources.num_workers=[1,3]"])
    (tmp_path / "again.yaml").write_text(config.to_yaml())
    assert load(tmp_path / "again.yaml") == config
    written = yaml.safe_load(config.to_yaml())
    assert written.keys() == {field.name for field in dataclasses.fields(RunConfig)}  # complete: every section
    assert written["optimizer"]["learning_rate"] == config.optimizer.learning_rate is not None


def test_paths_become_absolute_and_nothing_else_changes(small: Path) -> None:
    config = load(small)
    moved = config.with_absolute_paths()
    assert moved.data.store == str(Path.cwd() / "stores/x") and moved.run.folder == Path.cwd() / "runs/try"
    assert moved.with_absolute_paths() == moved
    back = dataclasses.replace(moved, data=config.data, run=config.run)
    assert back == config


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.parametrize("name", list(MODELS))
def test_every_file_in_configs_is_a_run_of_every_model(path: Path, name: str, tmp_path: Path) -> None:
    config = load(path, [f"model.name={name}"])
    assert isinstance(config.model.settings, MODELS[name].Config)
    assert config.run.name.startswith(path.stem) and config.data.store.endswith(path.stem)
    assert config.prepare is not None and load_prepare(path) == (config.prepare, config.data.store, None)
    (tmp_path / "again.yaml").write_text(config.to_yaml())
    assert load(tmp_path / "again.yaml") == config


def test_there_are_configs() -> None:
    assert {"quickstart", "tiktok", "movielens_1m_vat", "movielens_1m_vt", "gowalla"} <= {p.stem for p in CONFIGS}


def test_prepare_alone(small: Path) -> None:
    config, *place = load_prepare(None, ["prepare.format=synthetic", "prepare.options.num_users=300"])
    assert config.format_options().num_users == 300 and place == [None, None]
    assert load_prepare(small, ["prepare.format=synthetic", "data.cache=big"])[1:] == ("stores/x", "big")
    with pytest.raises(UserError, match=r"data\.store=3 must be a text or null"):
        load_prepare(small, ["prepare.format=synthetic", "data.store=3"])
    with pytest.raises(UserError, match=r"nothing says what to prepare: give --config FILE, or prepare\.format="):
        load_prepare(small)


def option_classes() -> set[type[Any]]:
    """Every dataclass that a format's options are read into. Other settings are each tried with a second value."""
    found: set[type[Any]] = set()

    def visit(hint: Any) -> None:
        for argument in typing.get_args(hint):
            visit(argument)
        if dataclasses.is_dataclass(hint) and hint not in found:
            found.add(hint)  # type: ignore[arg-type]
            for field_hint in typing.get_type_hints(hint).values():
                visit(field_hint)

    for read_format in FORMATS.values():
        visit(read_format.options)
    return found


def attributes_read() -> dict[str, set[str]]:
    """Attribute name -> the classes in whose bodies it is read; an empty name stands for code outside of classes."""
    found: dict[str, set[str]] = {}

    def visit(node: ast.AST, cls: str) -> None:
        if isinstance(node, ast.ClassDef):
            cls = node.name
        if isinstance(node, ast.FunctionDef) and node.name == "__post_init__":
            return  # to check a setting is not to use it
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            found.setdefault(node.attr, set()).add(cls)
        for child in ast.iter_child_nodes(node):
            visit(child, cls)

    for path in PACKAGE.rglob("*.py"):
        visit(ast.parse(path.read_text()), "")
    return found


# Read all at once through `vars`.
READ_OTHERWISE = {("AdjacencyOptions", split) for split in ("train", "valid", "test")}


def test_every_option_of_a_format_is_read_by_something() -> None:
    classes, read = option_classes(), attributes_read()
    assert len(classes) >= 6
    fields = {(cls.__name__, field.name) for cls in classes for field in dataclasses.fields(cls)}
    unread = {(cls, name) for cls, name in fields if not read.get(name, set()) - {cls}}
    assert unread <= READ_OTHERWISE, f"options that nothing reads: {sorted(unread - READ_OTHERWISE)}"
    assert fields >= READ_OTHERWISE


def test_the_default_metric_is_among_the_default_ones(small: Path) -> None:
    config = load(small)
    assert config.train.metric in metric_keys(config.evaluation.ks)
