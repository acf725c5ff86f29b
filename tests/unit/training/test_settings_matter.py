"""Every setting of a run is given a second value, and something that can be observed differs, or it is refused.

What must differ follows from what a setting decides: losses, measures, lengths. One that decides speed or place changes
no bit of the numbers, and its entry says where it shows instead. A setting without an entry fails.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from observed_run import NUMBERS, Seen, asked_of_ray, device_of_tables, one_run, opened

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.shards import map_shard
from dualgnn_dist.launch import in_process
from dualgnn_dist.models import MODELS
from dualgnn_dist.training.config import SECTIONS, RunConfig, decision
from dualgnn_dist.training.load import load
from dualgnn_dist.training.trainer import Trainer

BASE: dict[str, Any] = {
    "data": {"store": "{root}/store"},
    "model": {"name": "dualgnn", "width": 8},
    "sampler": {"batch_size": 100, "fanouts": [3, 2]},
    "optimizer": {"learning_rate": 0.01},
    "train": {"epochs": 2, "eval_every": 1, "patience": None, "metric": "recall@20"},
    "resources": {"num_workers": 0},
    "run": {"name": "run", "output": "{root}/runs"},
}


@dataclass(frozen=True)
class Change:
    """A setting's second value.

    Args:
        given: overrides that hold before the change too: without them the setting has nothing to act on.
        shows: what differs, where what the setting decides does not say it.
        by: who looks, beside a whole run.
        refused: the words of the refusal instead, here or where a package is not installed.
        trains: whether a run in this process can show that the numbers stay.
    """

    value: Any
    given: tuple[str, ...] = ()
    shows: str | None = None
    by: Callable[[RunConfig, Path], Seen] = one_run
    refused: str | None = None
    trains: bool = True


DROP = ('data.drop_modality={"share": 0.5, "modality": "any", "seed": 1}',)
ON_RAY = ("resources.num_workers=2",)
STILL = ("optimizer.learning_rate=1e-12", "train.epochs=3")  # no validation is better than the first

CHANGES: dict[str, Change] = {
    "data.store": Change("{root}/copy", shows="store"),
    "data.modalities": Change(["visual"]),
    "data.drop_modality": Change({"share": 0.5}),
    "data.drop_modality.share": Change({"share": 0.9}, DROP),
    "data.drop_modality.modality": Change({"share": 0.5, "modality": "visual"}, DROP),
    "data.drop_modality.seed": Change({"share": 0.5, "seed": 2}, DROP),
    "data.cache": Change("{root}/other_cache", ("data.store=file://{root}/store",), shows="store"),
    "data.verify": Change(True, ("data.store={root}/damaged",), by=opened, refused="is damaged"),
    "sampler.batch_size": Change(50),
    "sampler.fanouts": Change([2, 2]),
    "sampler.co_users": Change(2),
    "sampler.co_user_fanout": Change(1),
    "sampler.draws": Change("shared"),
    "sampler.threads": Change(2, shows="threads"),
    "sampler.prefetch": Change(3, shows="ahead"),
    "sampler.negatives": Change("popularity"),
    "sampler.negative_alpha": Change(0.1, ("sampler.negatives=popularity",)),
    "sampler.num_negatives": Change(2),
    "sampler.exclude_positives": Change(True),
    "tables.device": Change("host", shows="device", by=device_of_tables),
    "optimizer.learning_rate": Change(0.02),
    "optimizer.beta1": Change(0.5),
    "optimizer.beta2": Change(0.9),
    "optimizer.epsilon": Change(0.01),
    "optimizer.rows": Change("lazy", ("sampler.batch_size=20",)),  # so small that a step leaves rows untouched
    "train.epochs": Change(1),
    "train.eval_every": Change(2),
    "train.patience": Change(1, STILL),
    "train.metric": Change("ndcg@20"),
    "train.precision": Change("bfloat16"),
    "evaluation.ks": Change([20, 30]),
    "evaluation.ndcg_convention": Change("dualgnn"),
    "resources.num_workers": Change(3, ON_RAY, shows="ray", by=asked_of_ray, trains=False),
    "resources.use_gpu": Change(True, ON_RAY, shows="ray", by=asked_of_ray, trains=False),
    "resources.cpus_per_worker": Change(2, shows="kernel_threads"),
    "resources.cpus_per_worker of a worker of Ray": Change(2, ON_RAY, shows="ray", by=asked_of_ray),
    "resources.max_failures": Change(5, ON_RAY, shows="ray", by=asked_of_ray),
    "resources.hang_timeout": Change(60.0, ON_RAY, shows="ray", by=asked_of_ray),
    "checkpoint.every_steps": Change(2, shows="reports"),
    "checkpoint.every_minutes": Change(1e-9, shows="reports"),
    "run.name": Change("other", shows="place"),
    "run.output": Change("{root}/elsewhere", shows="place"),
    "run.seed": Change(2),
    "run.trackers": Change(["mlflow"], shows="trackers"),
}

OF_MODELS: dict[str, Any] = {
    "width": 6,
    "regularization": 0.5,
    "num_layers": 1,
    "num_blocks": 1,
    "fusion": "max",
    "max_co_users": 2,
    "neighbor_weighting": "mean",
    "latent_width": 4,
    "combine": "concat",
}
"""The second value of a model's own setting, whichever model has it."""


@pytest.fixture(scope="module")
def observe(demo_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Seen]]:
    """`observe(by, overrides)`; what has been observed once is remembered."""
    root, remembered = tmp_path_factory.mktemp("settings"), {}
    for name in ("store", "copy", "damaged"):
        shutil.copytree(demo_store.path, root / name)
    shard = root / "damaged" / demo_store.manifest.shards[0].file
    data, vectors = bytearray(shard.read_bytes()), map_shard(shard)["feature"].values.to_numpy().tobytes()
    data[data.find(vectors[:16])] ^= 1  # a number: what opening a store compares is whole
    shard.write_bytes(data)
    (root / "config.yaml").write_text(yaml.safe_dump(BASE).replace("{root}", str(root)))

    def observe(by: Callable[[RunConfig, Path], Seen], *overrides: str) -> Seen:
        key = by, overrides
        if key not in remembered:
            try:
                config = load(root / "config.yaml", [text.replace("{root}", str(root)) for text in overrides])
                remembered[key] = by(config, root)
            except UserError as error:
                remembered[key] = {"refused": str(error)}
        return remembered[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DUALGNN_CACHE", str(root / "cache"))
        yield observe


def settings_of(cls: Any, where: str) -> Iterator[str]:
    """The dotted names of a section's settings, and of the settings within them."""
    for field in dataclasses.fields(cls):
        yield f"{where}.{field.name}"
        hint = typing.get_type_hints(cls)[field.name]
        for inner in typing.get_args(hint):
            if dataclasses.is_dataclass(inner):
                yield from settings_of(inner, f"{where}.{field.name}")


def test_every_setting_has_an_entry() -> None:
    names = {name for section, cls in SECTIONS.items() if section != "prepare" for name in settings_of(cls, section)}
    assert names == {name.split(" ")[0] for name in CHANGES}, (
        "give a new setting a second value, and say where it shows"
    )
    of_models = {field.name for model in MODELS.values() for field in dataclasses.fields(model.Config)}
    assert of_models == OF_MODELS.keys(), "give a new setting of a model a second value"


def test_the_same_run_is_the_same_to_the_bit(observe: Callable[..., Seen]) -> None:
    """Or differences would show nothing."""
    first, again = observe(one_run), observe(one_run, "run.seed=1")
    assert first == again and "refused" not in first
    assert len(set(first["losses"])) == len(first["losses"]) > 1


@pytest.mark.parametrize("name", list(CHANGES))
def test_a_setting_shows_where_it_should(name: str, observe: Callable[..., Seen]) -> None:
    change, (section, key) = CHANGES[name], name.split(" ")[0].split(".")[:2]
    changed = f"{section}.{key}={json.dumps(change.value)}"
    before, after = observe(change.by, *change.given), observe(change.by, *change.given, changed)
    assert "refused" not in before
    if "refused" in after:
        assert change.refused is not None and re.search(change.refused, after["refused"]), after
        return
    decides = decision(section, key)
    shows = change.shows or {"numbers": "losses", "measure": "measured", "length": "lengths"}[decides]
    assert before[shows] != after[shows], f"{name} has no effect"
    if decides in ("speed", "place") and change.trains:
        given = () if change.by is asked_of_ray else change.given
        before, after = observe(one_run, *given), observe(one_run, *given, changed)
        for numbers in NUMBERS:
            assert before[numbers] == after[numbers], f"{name} decides {decides}, and changes numbers"


@pytest.mark.parametrize(
    ("model", "key"), [(name, field.name) for name, cls in MODELS.items() for field in dataclasses.fields(cls.Config)]
)
def test_a_setting_of_a_model_changes_its_losses(model: str, key: str, observe: Callable[..., Seen]) -> None:
    chosen = f"model.name={model}"
    before, after = observe(one_run, chosen), observe(one_run, chosen, f"model.{key}={json.dumps(OF_MODELS[key])}")
    assert before["losses"] != after["losses"], f"{model}.{key} has no effect"


@pytest.mark.parametrize(
    ("override", "num_steps"),
    [
        ("optimizer.learning_rate=0.02", 1),
        ("optimizer.epsilon=0.01", 1),
        # Adam's first step does not depend on them, so the second has the same gradients.
        ("optimizer.beta1=0.5", 2),
        ("optimizer.beta2=0.9", 2),
    ],
)
def test_adams_settings_act_on_dense_weights_and_on_rows(
    override: str, num_steps: int, observe: Callable[..., Seen]
) -> None:
    """Each by itself: with equal gradients, what differs differs by the setting alone."""

    def after_steps(config: RunConfig, root: Path) -> Seen:
        trainer = Trainer.build(config, config.data.open(), in_process.host(config))
        for step in range(num_steps):
            trainer.train_step(trainer.loader.batch(0, step))
        trainer.recorder.close()
        tables = {side: table.local_rows()[1] for side, table in trainer.state.tables.items()}
        return {**tables, **dict(trainer.state.model.named_parameters())}

    before, after = observe(after_steps), observe(after_steps, override)
    assert {"users"} < before.keys()
    for name, value in before.items():
        assert not torch.equal(value, after[name]), f"{override} has no effect on {name}"
