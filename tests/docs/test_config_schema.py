"""What an editor says of a config is what the program says, as far as a schema can say it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.training.load import load
from dualgnn_dist.training.sweep.load import load_sweep
from tests.docs.pages import PAGES, ROOT, fences

PATH = ROOT / "docs/config.schema.json"
SCHEMA = json.loads(PATH.read_text())
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
MODELINE = "# yaml-language-server: $schema=../docs/config.schema.json\n"

DEBUG = yaml.safe_load((ROOT / "configs/debug.yaml").read_text())
SWEEP = {**DEBUG, "search": {"optimizer.beta1": {"uniform": [0.1, 0.9]}}, "sweep": {"grace_epochs": 1}}


def marks(values: Any) -> list[str]:
    """What an editor would mark."""
    return [error.message for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(values)]


def changed(values: dict[str, Any], dotted: str, value: Any) -> dict[str, Any]:
    """`values` with another value at `dotted`, whose names are parted by `/`."""
    values = copy.deepcopy(values)
    *sections, key = dotted.split("/")
    place = values
    for section in sections:
        place = place.setdefault(section, {})
    place[key] = value
    return values


def refusal(values: dict[str, Any], folder: Path) -> str | None:
    """What the program says against the file."""
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump(values))
    try:
        load_sweep(path) if "search" in values else load(path)
    except UserError as error:
        return str(error)
    return None


def references(schema: Any) -> Iterator[str]:
    for key, value in schema.items() if isinstance(schema, dict) else enumerate(schema):
        if key == "$ref":
            yield value
        elif isinstance(value, (dict, list)):
            yield from references(value)


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    targets = set(references(SCHEMA))
    assert len(targets) > 60
    for target in targets:
        place = SCHEMA
        for name in target.removeprefix("#/").split("/"):
            place = place[name]
        assert place, target


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_file_in_configs_fits_and_names_it(path: Path) -> None:
    text = path.read_text()
    assert marks(yaml.safe_load(text)) == []
    assert text.startswith(MODELINE) and (path.parent / MODELINE.split("=")[1].strip()).resolve() == PATH


def test_the_configs_of_the_pages_fit() -> None:
    blocks = [yaml.safe_load(block) for page in PAGES for block in fences(page.read_text(), "yaml")]
    assert len(blocks) >= 5
    for block in blocks:
        assert marks({"data": {"store": "stores/x"}, "model": {"name": "dualgnn"}, **block}) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimizer/learning_rate", "1e-3"),
        ("optimizer/learning_rate", None),
        ("optimizer/beta1", 0),
        ("sampler/fanouts", "all"),
        ("sampler", None),
        ("run", None),
        ("run/name", None),
        ("prepare", None),
        ("resources/num_workers", [1, 2]),
        ("evaluation", {"ks": [20]}),
        ("data/drop_modality", {"share": 0.5}),
        ("run/trackers", ["mlflow"]),
        ("for_model", None),
        ("for_model/lightgcn", None),
        ("for_model/dualgnn", {"prepare.options.num_users": 130, "optimizer.epsilon": "1e-7", "model.fusion": "mean"}),
        ("model", {"name": "mmgcn", "latent_width": None, "combine": "concat"}),
        ("search", {"model.num_layers": {"int": [1, 3]}, "optimizer.learning_rate": {"loguniform": ["1e-4", 0.1]}}),
        ("search", {"sampler.fanouts": {"choice": ["all", [3, 2]]}}),
        ("sweep/concurrency", None),
    ],
)
def test_what_the_program_takes_is_not_marked(key: str, value: Any, tmp_path: Path) -> None:
    values = changed(SWEEP if key.startswith(("search", "sweep")) else DEBUG, key, value)
    assert refusal(values, tmp_path) is None
    assert marks(values) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("trian", {}),
        ("train/epoch", 3),
        ("train/epochs", "many"),
        ("train/epochs", None),
        ("train/epochs", True),
        ("train", [1]),
        ("train/precision", "float16"),
        ("optimizer/learning_rate", "fast"),
        ("optimizer/learning_rate", True),
        ("sampler/fanouts", "al"),
        ("sampler/fanouts", [10, "5"]),
        ("sampler/draws", "pyg"),
        ("sampler/exclude_positives", 1),
        ("data", {}),
        ("data", None),
        ("data/drop_modality", {"seed": 1}),
        ("data/drop_modality", {"share": 0.5, "modalities": ["visual"]}),
        ("run/name", 3),
        ("run/trackers", ["tensorboard"]),
        ("resources/num_workers", [1, 2, 3]),
        ("model", None),
        ("model", {"width": 3}),
        ("model/name", "dualgcn"),
        ("model/layers", 3),
        ("model", {"name": "lightgcn", "fusion": "max"}),
        ("model", {"name": "dualgnn", "fusion": "sum"}),
        ("prepare/format", "tabel"),
        ("prepare/options/num_user", 3),
        ("prepare", {"format": "table", "options": {"num_users": 3}}),
        ("prepare/split_shares", [0.9, 0.1]),
        ("prepare/modalities", {"visual": 3}),
        ("for_model", {"dualgn": {}}),
        ("for_model", [1]),
        ("for_model/dualgnn", {"optimizer.rate": 1}),
        ("for_model/dualgnn", {"width": 1}),
        ("for_model/dualgnn", {"model.name": "lightgcn"}),
        ("for_model/dualgnn", {"train.epochs": "many"}),
        ("search", {"optimizer.rate": {"uniform": [0.1, 0.2]}}),
        ("search", {"run.seed": {"int": [1, 2]}}),
        ("search", {"train.epochs": {"int": [1, 2]}}),
        ("search", {"optimizer.beta1": {"normal": [0.1, 0.2]}}),
        ("search", {"optimizer.beta1": {"uniform": [0.1]}}),
        ("search", {"optimizer.beta1": {"uniform": [0.1, 0.2], "choice": [0.1]}}),
        ("search", {"optimizer.beta1": {}}),
        ("search", {"optimizer.beta1": {"choice": []}}),
        ("search", {"model.num_layers": {"int": [1, 2.5]}}),
        ("sweep/trial", 3),
        ("sweep/stopper", "hyperband"),
    ],
)
def test_a_slip_is_marked_and_refused(key: str, value: Any, tmp_path: Path) -> None:
    values = changed(SWEEP if key.startswith(("search", "sweep")) else DEBUG, key, value)
    assert refusal(values, tmp_path) is not None
    assert marks(values)


@pytest.mark.parametrize("section", ["data", "model"])
def test_a_file_needs_data_and_model(section: str, tmp_path: Path) -> None:
    values = {name: settings for name, settings in DEBUG.items() if name != section}
    assert refusal(values, tmp_path) is not None
    assert marks(values)


def test_an_editor_shows_what_a_key_is() -> None:
    """Description and default of every key, and what can be chosen."""
    for name, section in SCHEMA["$defs"].items():
        for key, values in section["properties"].items():
            assert values.get("description") or name == "Distribution" or key == "name", (name, key)
            needed = key in section.get("required", []) or values.get("type") == "object"
            assert needed or "default" in values or key == "name" or name == "Distribution", (name, key)
    sampler = SCHEMA["$defs"]["SamplerConfig"]["properties"]
    assert sampler["batch_size"]["default"] == 2048 and sampler["negatives"]["enum"] == ["uniform", "popularity"]


def test_the_program_does_not_need_what_makes_the_schema() -> None:
    for path in (ROOT / "dualgnn_dist").rglob("*.py"):
        assert not {"pydantic", "griffe"} & set(path.read_text().replace(".", " ").split()), path
