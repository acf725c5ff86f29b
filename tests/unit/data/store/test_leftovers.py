"""What killed processes left in the cache goes at the next start, what others put there stays, and all is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.storage.locks import only_writer
from dualgnn_dist.base.storage.remote import RemoteFolder
from dualgnn_dist.data.make import make_at
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.store import staging
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.schema import MANIFEST

CONFIG = PrepareConfig(
    format="synthetic",
    split="random",
    options={"num_users": 60, "num_items": 90, "num_interactions": 900, "num_topics": 5},
)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def killed(cache: Path, name: str, **files: str) -> Path:
    """A workplace as `kill -9` leaves it, with the files of an unfinished store and `files`."""
    workplace = cache / name
    unfinished = {
        ".store.writer": "{}",
        ".store.unfinished-abc/ids/users-00000.arrow": "ARROW1",
        ".store.unfinished-abc/graph/user_item-00012.arrow": "ARROW1",
    }
    for file, text in {**unfinished, **files}.items():
        (workplace / file).parent.mkdir(parents=True, exist_ok=True)
        (workplace / file).write_text(text)
    return workplace


def test_workplaces_of_the_dead_go_and_those_of_the_living_and_of_others_stay(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = killed(cache, ".made-dead")
    alive = killed(cache, ".made-alive")
    whole = killed(cache, ".made-whole", **{"store/manifest.json": "{}"})  # `prepare` has told its place
    mine = killed(cache, ".made-mine", **{".store.unfinished-abc/thesis.txt": "years of work"})
    (cache / ".made-link").symlink_to(whole, target_is_directory=True)
    with only_writer(alive / "store", "the store", print):
        folder = make_at((tmp_path / "bucket/new").as_uri(), CONFIG, str(cache))
    assert f"{dead}, left by a prepare that was killed, is deleted" in capsys.readouterr().out
    names = {path.name for path in cache.iterdir()}
    assert names == {folder.name, f"{folder.name}.lock", *(path.name for path in (alive, whole, mine)), ".made-link"}
    assert (mine / ".store.unfinished-abc/thesis.txt").read_text() == "years of work"
    assert (whole / "store/manifest.json").exists()
    assert (alive / ".store.unfinished-abc/ids/users-00000.arrow").exists()


def test_what_was_fetched_of_a_former_store_goes(
    demo_store: Store, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = Path(shutil.copytree(demo_store.path, tmp_path / "bucket/demo"))
    for name in (f"demo-{'0' * 16}.partial", f"other-{'0' * 16}.partial", "demo-mine.partial"):
        (cache / name / "ids").mkdir(parents=True)
        (cache / name / "ids/users-00000.arrow").write_text("ARROW1")
    folder = staging.stage(there.as_uri(), str(cache))
    assert "partial, left by a process that was killed, is deleted" in capsys.readouterr().out
    partials = {path.name for path in cache.glob("*.partial")}
    assert partials == {f"other-{'0' * 16}.partial", "demo-mine.partial"} and (folder / MANIFEST).exists()


@pytest.mark.parametrize("place", ["a copy", "a partial copy"])
def test_a_file_of_ones_own_in_the_cache_is_never_deleted(
    demo_store: Store, cache: Path, tmp_path: Path, place: str
) -> None:
    there = Path(shutil.copytree(demo_store.path, tmp_path / "bucket/demo"))
    folder = staging.stage(there.as_uri(), str(cache))
    partial = folder.with_name(folder.name + ".partial")
    if place == "a partial copy":
        shutil.copytree(folder, partial)
    mine = (partial if place == "a partial copy" else folder) / "thesis.txt"
    mine.write_text("years of work")
    (folder / "ids/users-00000.arrow").unlink()
    try:
        assert staging.stage(there.as_uri(), str(cache)) == folder
        mine = folder / "thesis.txt"
    except UserError as error:
        assert "holds what is not a store's, such as 'thesis.txt': move it elsewhere" in str(error)
    assert mine.read_text() == "years of work"


@pytest.mark.parametrize("manifest", ['{"name": "my app"}', "no json"])
def test_a_site_at_a_url_is_never_replaced(cache: Path, tmp_path: Path, manifest: str) -> None:
    site = tmp_path / "bucket/site"
    site.mkdir(parents=True)
    (site / MANIFEST).write_text(manifest)
    (site / "index.html").write_text("<html>")
    overwriting = PrepareConfig(format="synthetic", split="random", options=CONFIG.options, overwrite=True)
    with pytest.raises(UserError, match=r"site is not replaced: its manifest\.json is not that of a store"):
        make_at(site.as_uri(), overwriting, str(cache))
    assert (site / MANIFEST).read_text() == manifest and (site / "index.html").exists() and not cache.exists()


def test_a_store_at_a_url_is_made_by_one_process_at_a_time_and_replaced_by_name(cache: Path, tmp_path: Path) -> None:
    place = tmp_path / "bucket/new"
    with only_writer(place, "the store", print), pytest.raises(UserError, match="new is being written by process"):
        make_at(place.as_uri(), CONFIG, str(cache))
    make_at(place.as_uri(), CONFIG, str(cache))
    (place / "notes.txt").write_text("mine")
    values = json.loads((place / MANIFEST).read_text())
    (place / "ids/former-00000.arrow").write_text("ARROW1")
    values["shards"].append({"file": "ids/former-00000.arrow", "rows": 1, "num_bytes": 6, "checksum": "0"})
    (place / MANIFEST).write_text(json.dumps({**values, "num_users": 61}))  # damaged, and still says what is its own
    overwriting = PrepareConfig(format="synthetic", split="random", options=CONFIG.options, overwrite=True)
    make_at(place.as_uri(), overwriting, str(cache))
    assert Store.open(place).manifest.num_users == 60
    assert (place / "notes.txt").read_text() == "mine" and not (place / "ids/former-00000.arrow").exists()
    assert RemoteFolder.at(place.parent.as_uri()).sizes().keys() >= {"new/notes.txt", f"new/{MANIFEST}"}
