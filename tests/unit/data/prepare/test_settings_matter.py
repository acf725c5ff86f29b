"""Every setting of `prepare` is given a second value: another store comes out, or the same one in another way."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dualgnn_dist.base.config import decides, from_mapping
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.formats.synthetic import SyntheticOptions
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.launch.workers import blocks_of

OPTIONS = {
    "num_users": 60,
    "num_items": 45,
    "num_interactions": 500,
    "num_communities": 6,
    "num_topics": 5,
    "visual_dimension": 7,
    "acoustic_dimension": 5,
    "vocabulary_size": 30,
    "missing_share": 0.2,
}
BASE: dict[str, Any] = {"format": "synthetic", "split": "random", "options": OPTIONS, "num_co_users": 20}
BASE |= {"rows_per_shard": 17, "num_threads": 1}
TABLE = {"format": "table", "input": "{folder}/a.csv", "options": {}}


@dataclass(frozen=True)
class Change:
    """A second value; what is `given` holds before the change too."""

    value: Any
    given: dict[str, Any] = dataclasses.field(default_factory=dict)


# Those that decide speed or place have tests of their own below: they leave the store as it is.
CHANGES: dict[str, Change] = {
    "modalities": Change({"text": "text.npy"}, TABLE),
    "options": Change({**OPTIONS, "seed": 2}),
    "split": Change("cold_items"),
    "split_shares": Change([0.6, 0.2, 0.2]),
    "cold_share": Change(0.3, {"split": "cold_items"}),
    "standardize": Change(True),
    "k_core": Change(6),
    "cold_items": Change("keep", {"k_core": 6}),
    "num_co_users": Change(3),
    "max_item_degree": Change(5),
    "rows_per_shard": Change(9),
    "seed": Change(2),
}
ELSEWHERE = {"input", "num_threads", "backend", "overwrite"}
OF_SYNTHETIC: dict[str, Any] = {
    "num_users": 61,
    "num_items": 46,
    "num_interactions": 520,
    "min_interactions": 6,
    "num_communities": 5,
    "num_topics": 6,
    "favourite_topics": 3,
    "taste": 0.5,
    "zipf": 1.0,
    "feature_noise": 0.5,
    "missing_share": 0.4,
    "visual_dimension": 6,
    "acoustic_dimension": 4,
    "vocabulary_size": 20,
    "textual_dimension": 4,
    "seed": 2,
}


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Store]:
    """`make(settings)`: the store of BASE with other settings."""
    folder = tmp_path_factory.mktemp("prepare")
    random = np.random.default_rng(3)
    pairs = {(int(user), int(item)) for user, item in random.integers(0, 12, (90, 2))}
    lines = [f"{user},{item}\n" for user, item in sorted(pairs)]
    for name in ("a.csv", "b.csv"):
        (folder / name).write_text("user,item\n" + "".join(lines))
    np.save(folder / "text.npy", random.normal(size=(12, 3)).astype(np.float32))
    made: dict[str, Store] = {}

    def make(settings: dict[str, Any]) -> Store:
        values = {**BASE, **settings}
        if values.get("input"):
            values["input"] = values["input"].replace("{folder}", str(folder))
        if repr(values) not in made:
            path = prepare(from_mapping(PrepareConfig, values), folder / f"store-{len(made)}", lambda line: None)
            made[repr(values)] = Store.open(path)
        return made[repr(values)]

    return make


def test_every_setting_has_an_entry() -> None:
    decided = decides(PrepareConfig)
    assert decided.keys() == CHANGES.keys() | ELSEWHERE | {"format"}, "give a new setting a second value"
    assert {name for name, by in decided.items() if by in ("speed", "place")} == ELSEWHERE
    assert {field.name for field in dataclasses.fields(SyntheticOptions)} == OF_SYNTHETIC.keys()


@pytest.mark.parametrize("name", list(CHANGES))
def test_a_setting_makes_another_store(name: str, make: Callable[..., Store]) -> None:
    change = CHANGES[name]
    before, after = make(change.given), make({**change.given, name: change.value})
    assert before.manifest.fingerprint != after.manifest.fingerprint, f"prepare.{name} has no effect"


@pytest.mark.parametrize("name", list(OF_SYNTHETIC))
def test_an_option_makes_another_store(name: str, make: Callable[..., Store]) -> None:
    after = make({"options": {**OPTIONS, name: OF_SYNTHETIC[name]}})
    assert make({}).manifest.fingerprint != after.manifest.fingerprint, f"prepare.options.{name} has no effect"


def test_the_format_decides_who_reads(make: Callable[..., Store]) -> None:
    assert make(TABLE).manifest.fingerprint != make({}).manifest.fingerprint


def test_the_same_interactions_elsewhere_make_the_same_store(make: Callable[..., Store]) -> None:
    first, other = make(TABLE), make({**TABLE, "input": "{folder}/b.csv"})
    assert first.manifest.fingerprint == other.manifest.fingerprint
    assert [Path(name).name for name in first.manifest.sources] == ["a.csv"]
    assert [Path(name).name for name in other.manifest.sources] == ["b.csv"]


def test_threads_make_the_same_store(make: Callable[..., Store], monkeypatch: pytest.MonkeyPatch) -> None:
    expected, sizes, new_pool = make({}).manifest.fingerprint, set(), ThreadPoolExecutor.__init__

    def make_pool(pool: Any, max_workers: Any = None, *rest: Any, **keywords: Any) -> None:
        sizes.add(max_workers)
        new_pool(pool, max_workers, *rest, **keywords)

    monkeypatch.setattr(ThreadPoolExecutor, "__init__", make_pool)
    for num_threads in (3, 5):
        sizes.clear()
        assert make({"num_threads": num_threads}).manifest.fingerprint == expected
        assert num_threads in sizes, "prepare.num_threads has no effect"


def test_the_backend_decides_who_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert blocks_of(from_mapping(PrepareConfig, BASE)) is None
    with pytest.raises(UserError, match=r"prepare\.backend=ray needs the package ray"):
        blocks_of(from_mapping(PrepareConfig, {**BASE, "backend": "ray"}))


def test_a_store_is_replaced_where_the_setting_says_so(tmp_path: Path, make: Callable[..., Store]) -> None:
    config = from_mapping(PrepareConfig, BASE)
    prepare(config, tmp_path / "store", lambda line: None)
    with pytest.raises(UserError, match="is a store already"):
        prepare(config, tmp_path / "store", lambda line: None)
    path = prepare(dataclasses.replace(config, overwrite=True, seed=2), tmp_path / "store", lambda line: None)
    assert Store.open(path).manifest.fingerprint == make({"seed": 2}).manifest.fingerprint
