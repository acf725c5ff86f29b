"""A store's manifest is written, sent and fetched last: whoever finds one finds all that it names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from order_of_writes import Write

from dualgnn_dist.base.storage.remote import RemoteFolder
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.schema import MANIFEST
from dualgnn_dist.data.store.staging import publish, stage
from dualgnn_dist.data.store.writer import StoreWriter


def write(path: Path, overwrite: bool = False) -> None:
    with StoreWriter(path, rows_per_shard=2, overwrite=overwrite) as writer:
        writer.append_rows("ids/users", {"id": [1, 2, 3]})
        writer.append_rows("ids/items", {"id": [1]})
        writer.append_rows("other/table", {"id": [1]})
        writer.commit(num_users=3, num_items=1, num_interactions={}, modalities={}, settings={}, sources={})


@pytest.mark.parametrize("is_there", [False, True])
def test_a_store_is_on_the_disk_before_its_manifest_and_renamed_after_it(
    is_there: bool, tmp_path: Path, writes: list[Write]
) -> None:
    if is_there:
        write(tmp_path / "store")
        writes.clear()
    write(tmp_path / "store", overwrite=is_there)
    names = [(event, Path(name).name) for event, name in writes]
    files = [path.name for path in sorted((tmp_path / "store").rglob("*.arrow"))]
    assert len(files) == 4
    manifest = names.index(("sync", MANIFEST))
    assert {("sync", name) for name in [*files, "ids", "other"]} == set(names[:manifest])
    is_hidden = Path(writes[manifest + 1][1]).name.startswith(".store.unfinished-")
    assert writes[manifest + 1][0] == "sync" and is_hidden, "the folder that lists the manifest"
    renames = [("rename", str(tmp_path / "store"))]
    if is_there:
        assert writes[manifest + 2][0] == "rename" and writes[manifest + 2][1].endswith("/store")
        renames = [writes[manifest + 2], *renames]
    assert writes[manifest + 2 :] == [*renames, ("sync", str(tmp_path))]


def test_a_store_goes_up_with_its_manifest_last_and_down_again(
    demo_store: Store, tmp_path: Path, writes: list[Write]
) -> None:
    url, shards = (tmp_path / "bucket/demo").as_uri(), {shard.file for shard in demo_store.manifest.shards}
    made = tmp_path / "made"
    shutil.copytree(demo_store.path, made)
    publish(made, url, overwrite=False, cache=str(tmp_path / "first"), say=lambda line: None)
    uploads = [name for event, name in writes if event == "upload" and name != ".writable"]
    assert uploads[-1] == MANIFEST and set(uploads[:-1]) == shards
    writes.clear()
    folder = stage(url, str(tmp_path / "second"), say=lambda line: None)
    assert {Path(name).name for event, name in writes if event == "sync"} == {Path(name).name for name in shards}
    assert [(event, Path(name).name) for event, name in writes[-2:]] == [("rename", MANIFEST), ("rename", folder.name)]


def test_a_store_that_is_replaced_loses_its_manifest_first_and_its_own_files_last(
    demo_store: Store, tmp_path: Path, writes: list[Write]
) -> None:
    made, url = tmp_path / "made", (tmp_path / "bucket/demo").as_uri()
    write(made)
    old = [shard["file"] for shard in json.loads((made / MANIFEST).read_text())["shards"]]
    publish(made, url, overwrite=False, cache=str(tmp_path / "cache"), say=lambda line: None)
    shutil.copytree(demo_store.path, made)
    new = {shard.file for shard in demo_store.manifest.shards}
    assert set(old) - new == {"other/table-00000.arrow"} and set(old) & new
    writes.clear()
    publish(made, url, overwrite=True, cache=str(tmp_path / "cache"), say=lambda line: None)
    remote = [write for write in writes if write[0] in ("upload", "delete") and write[1] != ".writable"]
    assert remote[0] == ("delete", MANIFEST)
    manifest = remote.index(("upload", MANIFEST))
    assert {name for _, name in remote[1:manifest]} == new
    assert sorted(name for _, name in remote[manifest + 1 :]) == sorted(set(old) - new)
    assert set(RemoteFolder.at(url).sizes()) == new | {MANIFEST}
