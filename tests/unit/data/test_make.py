"""A store is made where the config wants it: what it takes on the way lies where the config wants it, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.storage.remote import RemoteFolder
from dualgnn_dist.data import make
from dualgnn_dist.data.config import DataConfig
from dualgnn_dist.data.make import ensure_store, make_at
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.store.reader import Store

CONFIG = PrepareConfig(
    format="synthetic",
    split="random",
    options={"num_users": 60, "num_items": 90, "num_interactions": 900, "num_topics": 5},
)


@pytest.fixture
def node_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the environment names as the node's cache; nothing lies there yet."""
    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "node"))
    return tmp_path / "node"


@pytest.fixture
def workplaces(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders in which stores are prepared from now on."""
    folders: list[Path] = []
    prepare = make.prepare

    def spy(config: PrepareConfig, output: Path, *arguments: object) -> Path:
        folders.append(output)
        return prepare(config, output, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(make, "prepare", spy)
    return folders


def test_a_folder_takes_the_store_and_no_cache(tmp_path: Path, node_cache: Path) -> None:
    assert make_at(str(tmp_path / "store"), CONFIG, str(tmp_path / "disk")) == tmp_path / "store"
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_store_for_a_url_is_made_and_kept_in_the_cache_of_the_config(
    tmp_path: Path, node_cache: Path, workplaces: list[Path]
) -> None:
    place, disk = tmp_path / "bucket/new", tmp_path / "disk"
    folder = make_at(place.as_uri(), CONFIG, str(disk))
    (workplace,) = workplaces
    assert workplace.is_relative_to(disk) and not workplace.exists()
    fingerprint = Store.open(place).manifest.fingerprint
    assert folder == disk / f"new-{fingerprint[:16]}" and Store.open(folder).manifest.fingerprint == fingerprint
    assert {path.name for path in disk.iterdir()} == {folder.name, f"{folder.name}.lock"}
    assert not node_cache.exists()


def test_without_a_cache_it_is_the_nodes(tmp_path: Path, node_cache: Path, workplaces: list[Path]) -> None:
    folder = make_at((tmp_path / "bucket/new").as_uri(), CONFIG)
    assert folder.parent == node_cache / "stores" and workplaces[0].is_relative_to(node_cache / "stores")


def test_what_a_config_makes_and_opens_lies_in_its_cache(tmp_path: Path, node_cache: Path) -> None:
    data = DataConfig(store=(tmp_path / "bucket/new").as_uri(), cache=str(tmp_path / "disk"))
    assert ensure_store(data, CONFIG).path.parent == tmp_path / "disk"
    assert not node_cache.exists()


def test_a_store_that_cannot_go_up_stays_in_the_cache(
    tmp_path: Path, node_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: RemoteFolder, *arguments: object) -> None:
        raise UserError("the network is gone")

    monkeypatch.setattr(RemoteFolder, "upload", fail)
    with pytest.raises(UserError, match=r"the network is gone\. The store itself is made: data\.store=(.*)") as refused:
        make_at((tmp_path / "bucket/new").as_uri(), CONFIG, str(tmp_path / "disk"))
    store = Path(str(refused.value).partition("data.store=")[2])
    assert store.is_relative_to(tmp_path / "disk") and Store.open(store).manifest.num_users == 60
    assert not node_cache.exists()


def test_a_preparation_that_fails_leaves_nothing(tmp_path: Path, node_cache: Path) -> None:
    config = PrepareConfig(format="synthetic", split="given", options=CONFIG.options)
    with pytest.raises(UserError, match=r"prepare\.split is 'given'"):
        make_at((tmp_path / "bucket/new").as_uri(), config, str(tmp_path / "disk"))
    assert list((tmp_path / "disk").iterdir()) == []


def test_a_store_made_with_other_settings_is_refused(tmp_path: Path) -> None:
    data = DataConfig(store=str(tmp_path / "store"))
    with pytest.raises(UserError, match=r"there is no store at .*, and the config has no prepare section"):
        ensure_store(data, None)
    ensure_store(data, CONFIG)
    other = PrepareConfig(format="synthetic", split="random", options=CONFIG.options, num_co_users=3)
    with pytest.raises(UserError, match=r"was made with prepare\.num_co_users=200, the config says 3; point data\.sto"):
        ensure_store(data, other)
    same = PrepareConfig(format="synthetic", split="random", options=CONFIG.options, num_threads=1)
    assert ensure_store(data, same).path == tmp_path / "store"
