"""A store behind a URL: copied once, checked, made whole again, and never opened by half."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.storage.files import locked
from dualgnn_dist.base.storage.remote import RemoteFolder
from dualgnn_dist.data.config import DataConfig
from dualgnn_dist.data.store import staging
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.schema import MANIFEST, checksum, fingerprint, load_manifest
from dualgnn_dist.data.store.staging import publish, stage
from tests.unit.data.store.small_store import write as make_small_store


@pytest.fixture
def cache(tmp_path: Path) -> str:
    return str(tmp_path / "cache")


@pytest.fixture
def remote_store(demo_store: Store, tmp_path: Path) -> Path:
    """The demo store on what the tests take for remote storage."""
    return Path(shutil.copytree(demo_store.path, tmp_path / "bucket/demo"))


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are downloaded from now on."""
    names: list[str] = []
    download = RemoteFolder.download

    def spy(self: RemoteFolder, name: str, *arguments: object) -> None:
        names.append(name)
        download(self, name, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(RemoteFolder, "download", spy)
    return names


def same_files(one: Path, other: Path) -> bool:
    files = [{f.relative_to(at): f.read_bytes() for f in at.rglob("*") if f.is_file()} for at in (one, other)]
    return files[0] == files[1]


def damage(file: Path) -> None:
    """Changes a byte and leaves the size."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_copy_is_the_store_and_is_made_once(remote_store: Path, cache: str, fetched: list[str]) -> None:
    folder = stage(remote_store.as_uri(), cache)
    manifest = load_manifest(remote_store)
    assert folder == Path(cache) / f"demo-{manifest.fingerprint[:16]}" and same_files(folder, remote_store)
    assert sorted(fetched) == [shard.file for shard in manifest.shards]
    Store.open(folder).verify()
    fetched.clear()
    assert stage(remote_store.as_uri(), cache) == folder and fetched == []
    assert {path.name.replace(folder.name, "") for path in Path(cache).iterdir()} == {"", ".lock"}


def test_the_config_opens_what_is_behind_a_url(
    remote_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "node"))
    data = DataConfig(store=remote_store.as_uri())
    assert data.open().path.parent == tmp_path / "node/stores"
    assert DataConfig(store=remote_store.as_uri(), cache=str(tmp_path / "mine")).open().path.parent == tmp_path / "mine"
    assert DataConfig(store=str(remote_store)).open().path == remote_store


@pytest.mark.parametrize("how", ["cut", "missing", "manifest"])
def test_what_a_start_can_see_of_a_damaged_copy_is_fetched_again(
    how: str, remote_store: Path, cache: str, fetched: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = stage(remote_store.as_uri(), cache)
    victim = "ids/items-00001.arrow"
    fetched.clear()
    if how == "cut":
        (folder / victim).write_bytes((folder / victim).read_bytes()[:-1])
    else:
        (folder / (victim if how == "missing" else MANIFEST)).unlink()
    assert stage(remote_store.as_uri(), cache) == folder and same_files(folder, remote_store)
    assert fetched == ([] if how == "manifest" else [victim])
    assert how == "manifest" or f"is damaged ({victim})" in capsys.readouterr().out


def test_a_changed_byte_is_found_on_demand(remote_store: Path, cache: str, fetched: list[str], tmp_path: Path) -> None:
    folder = stage(remote_store.as_uri(), cache)
    damage(folder / "graph/user_item-00002.arrow")
    fetched.clear()
    assert stage(remote_store.as_uri(), cache) == folder and fetched == []
    DataConfig(store=remote_store.as_uri(), cache=cache, verify=True).open()
    assert fetched == ["graph/user_item-00002.arrow"] and same_files(folder, remote_store)
    local = Path(shutil.copytree(remote_store, tmp_path / "local"))
    damage(local / "graph/user_item-00002.arrow")
    DataConfig(store=str(local)).open()
    with pytest.raises(UserError, match=r"graph/user_item-00002.arrow is damaged"):
        DataConfig(store=str(local), verify=True).open()


def test_an_interrupted_copy_goes_on(
    remote_store: Path, cache: str, fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    download, names = RemoteFolder.download, [shard.file for shard in load_manifest(remote_store).shards]

    def fail_late(self: RemoteFolder, name: str, file: Path, *rest: object) -> None:
        if name >= names[20]:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"half")
            raise UserError("the network is gone")
        download(self, name, file, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(RemoteFolder, "download", fail_late)
        with pytest.raises(UserError, match="the network is gone"):
            stage(remote_store.as_uri(), cache)
    (partial,) = Path(cache).glob("*.partial")
    with pytest.raises(UserError, match="unfinished"):
        Store.open(partial)
    damage(partial / names[3])
    fetched.clear()
    folder = stage(remote_store.as_uri(), cache)
    assert sorted(fetched) == sorted([names[3], *names[20:]])
    assert same_files(folder, remote_store) and not partial.exists()


def test_damage_at_the_url_is_refused_with_both_checksums(remote_store: Path, cache: str) -> None:
    file = remote_store / "graph/item_user-00000.arrow"
    right = checksum(file)
    damage(file)
    with pytest.raises(UserError, match=r"file graph/item_user-00000\.arrow is damaged") as refused:
        stage(remote_store.as_uri(), cache)
    assert right in str(refused.value) and checksum(file) in str(refused.value)
    assert not [
        path for path in Path(cache).iterdir() if path.name.endswith(load_manifest(remote_store).fingerprint[:16])
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values["shards"][0].update(file="../../outside"), "lies outside the store"),
        (lambda values: values["shards"][0].update(file="/etc/passwd"), "lies outside the store"),
        (lambda values: values["shards"][0].update(checksum="0" * 32), "does not have the fingerprint"),
        (lambda values: values.update(fingerprint="../x"), "does not have the fingerprint"),
        (lambda values: values.update(format_version=9), "format version 9"),
        (lambda values: values.pop("shards"), "'.*shards' is missing"),
    ],
)
def test_a_manifest_that_cannot_be_trusted_is_refused(
    change: Callable[[dict], None], message: str, remote_store: Path, cache: str
) -> None:
    values = json.loads((remote_store / MANIFEST).read_text())
    del values["settings"]["manifest_checksum"]  # as an older program writes it
    change(values)
    (remote_store / MANIFEST).write_text(json.dumps(values))
    with pytest.raises(UserError, match=message):
        stage(remote_store.as_uri(), cache)
    assert not Path(cache).exists()


def test_no_manifest_is_no_store(remote_store: Path, cache: str) -> None:
    (remote_store / MANIFEST).write_bytes(b"\xff{")
    with pytest.raises(UserError, match="is not a manifest"):
        stage(remote_store.as_uri(), cache)
    (remote_store / MANIFEST).unlink()
    with pytest.raises(UserError, match=r"not a store or an unfinished one: it has no manifest.json; make one with"):
        stage(remote_store.as_uri(), cache)


def test_too_little_space_is_said_before_anything_is_fetched(
    remote_store: Path, cache: str, fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 0, 10))
    with pytest.raises(UserError, match=r"data.cache=FOLDER or DUALGNN_CACHE"):
        stage(remote_store.as_uri(), cache)
    assert fetched == []


def test_a_cache_that_cannot_be_written_is_named(remote_store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        stage(remote_store.as_uri(), str(tmp_path / "file/cache"))
    with pytest.raises(UserError, match="cannot be written"):
        staging.new_workplace(str(tmp_path / "file/cache"))


def test_a_store_replaced_at_its_url_is_another_copy(remote_store: Path, cache: str) -> None:
    first = stage(remote_store.as_uri(), cache)
    values = json.loads((remote_store / MANIFEST).read_text())
    (remote_store / MANIFEST).write_text(json.dumps({**values, "settings": {"prepare": {"k_core": 5}}}))
    assert stage(remote_store.as_uri(), cache) == first  # the same content, described in other words
    assert Store.open(first).manifest.settings == {"prepare": {"k_core": 5}}
    make_small_store(remote_store, overwrite=True)
    assert stage(remote_store.as_uri(), cache) != first and first.exists()


def _stage_when_told(
    url: str, cache: str, start: multiprocessing.synchronize.Barrier, lines_of_all: multiprocessing.Queue
) -> None:
    start.wait(30)
    lines: list[str] = []
    folder = stage(url, cache, say=lines.append)
    Store.open(folder).verify()
    lines_of_all.put(lines)


def test_of_several_processes_one_copies_and_the_others_wait(remote_store: Path, cache: str) -> None:
    context = multiprocessing.get_context("forkserver")
    start, lines_of_all = context.Barrier(3), context.Queue()
    processes = [
        context.Process(target=_stage_when_told, args=(remote_store.as_uri(), cache, start, lines_of_all))
        for _ in range(3)
    ]
    for process in processes:
        process.start()
    lines = [line for _ in processes for line in lines_of_all.get(timeout=60)]
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    assert sum(line.startswith("copying ") for line in lines) == 1, lines


def test_who_waits_says_so_and_finds_the_copy_made(
    remote_store: Path, cache: str, fetched: list[str], tmp_path: Path
) -> None:
    # A copy that another process makes meanwhile: the lock is held, and the folder appears before it is let go.
    folder = stage(remote_store.as_uri(), cache)
    hidden = folder.rename(tmp_path / "hidden")
    fetched.clear()
    lines: list[str] = []
    lock = locked(folder.with_name(folder.name + ".lock"), lines.append, "nobody")
    lock.__enter__()

    def hear(line: str) -> None:
        lines.append(line)
        hidden.rename(folder)
        lock.__exit__(None, None, None)

    assert stage(remote_store.as_uri(), cache, say=hear) == folder
    assert fetched == [] and [line.split(":")[0] for line in lines] == ["waiting for another process of this node"]


def test_a_published_store_is_at_the_url_and_in_the_cache(
    demo_store: Store, tmp_path: Path, cache: str, fetched: list[str]
) -> None:
    url = (tmp_path / "bucket/new").as_uri()
    prepared = Path(shutil.copytree(demo_store.path, staging.new_workplace(cache) / "store"))
    staging.refuse_occupied(url, False)
    folder = publish(prepared, url, False, cache)
    assert same_files(tmp_path / "bucket/new", demo_store.path) and not prepared.exists()
    assert stage(url, cache) == folder and same_files(folder, demo_store.path) and fetched == []
    for refuse in (lambda: staging.refuse_occupied(url, False), lambda: publish(folder, url, False, cache)):
        with pytest.raises(UserError, match="is a store already; choose another place or set overwrite"):
            refuse()


def test_a_store_half_uploaded_is_none(
    demo_store: Store, tmp_path: Path, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = tmp_path / "bucket/new"
    upload, names = RemoteFolder.upload, [shard.file for shard in demo_store.manifest.shards]

    def fail_late(self: RemoteFolder, file: Path, name: str, *rest: object) -> None:
        if name == names[20]:
            raise UserError("the network is gone")
        upload(self, file, name, *rest)  # type: ignore[arg-type]

    for is_occupied in (False, True):
        if is_occupied:
            publish(Path(shutil.copytree(demo_store.path, tmp_path / "made")), at.as_uri(), False, cache)
            (at / "mine.txt").write_text("not of the store")
        with monkeypatch.context() as patch:
            patch.setattr(RemoteFolder, "upload", fail_late)
            with pytest.raises(UserError, match="the network is gone"):
                publish(demo_store.path, at.as_uri(), True, cache)
        assert not staging.exists(at.as_uri())
        with pytest.raises(UserError, match="not a store or an unfinished one"):
            stage(at.as_uri(), cache)
    assert demo_store.path.exists() and (at / "mine.txt").exists()


def test_replacing_leaves_nothing_of_the_old_store(demo_store: Store, tmp_path: Path, cache: str) -> None:
    at = tmp_path / "bucket/new"
    publish(Path(shutil.copytree(demo_store.path, tmp_path / "made")), at.as_uri(), False, cache)
    (at / "mine.txt").write_text("not of the store")
    values = json.loads((at / MANIFEST).read_text())
    del values["settings"]["manifest_checksum"]
    extra = {"file": "graph/old-00000.arrow", "rows": 1, "num_bytes": 3, "checksum": "0" * 32}
    shards = tuple(staging.ShardInfo(**shard) for shard in [*values["shards"], extra])
    values["fingerprint"] = fingerprint(shards, demo_store.manifest.modalities)
    (at / MANIFEST).write_text(json.dumps({**values, "shards": [*values["shards"], extra]}))
    (at / "graph/old-00000.arrow").write_text("old")
    publish(Path(shutil.copytree(demo_store.path, tmp_path / "made2")), at.as_uri(), True, cache)
    assert (at / "mine.txt").exists()
    (at / "mine.txt").unlink()
    assert same_files(at, demo_store.path)
