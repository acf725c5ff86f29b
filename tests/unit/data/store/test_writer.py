"""A store is whole or not there, and never replaced unasked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.data.store.writer import StoreWriter
from tests.unit.data.store.small_store import write


def test_the_fingerprint_is_that_of_the_content(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a"), write(tmp_path / "b")
    assert first.manifest.fingerprint == second.manifest.fingerprint
    assert first.manifest.fingerprint != write(tmp_path / "c", times=False).manifest.fingerprint


def test_an_existing_store_is_replaced_only_on_demand(tmp_path: Path) -> None:
    before = write(tmp_path / "store").manifest
    with pytest.raises(UserError, match="is a store already; choose another folder or set overwrite"):
        write(tmp_path / "store")
    after = write(tmp_path / "store", overwrite=True, times=False).manifest
    assert before.fingerprint != after.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_folder_that_is_no_store_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="exists and is not a store; choose another folder"):
        write(tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine/thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    "manifest",
    [
        '{"name": "my app", "icons": ["a.png"]}',
        '{"shards": [], "files": ["index.html"]}',
        '{"format_version": 1, "fingerprint": "0", "num_users": 1, "num_items": 1, "shards": '
        '[{"file": "src/index.html", "rows": 1, "num_bytes": 1, "checksum": "0"}]}',
        '{"format_version": 1, "fingerprint": "0", "num_users": 1, "num_items": 1, "shards": '
        '[{"file": "../x-00000.arrow", "rows": 1, "num_bytes": 1, "checksum": "0"}]}',
        "[]",
        "no json",
        "[" * 100_000,
    ],
)
def test_a_web_project_with_a_manifest_is_never_replaced(tmp_path: Path, manifest: str) -> None:
    files = {"manifest.json": manifest, "src/index.html": "<html>", ".git/HEAD": "ref: refs/heads/main"}
    for name, text in files.items():
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name).write_text(text)
    with pytest.raises(UserError, match=r"site is not replaced: its manifest\.json is not that of a store"):
        write(tmp_path / "site", overwrite=True)
    assert {name: (tmp_path / "site" / name).read_text() for name in files} == files
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_what_a_user_has_put_into_a_store_is_named_before_the_work_and_stays(tmp_path: Path) -> None:
    write(tmp_path / "store")
    (tmp_path / "store/graph/notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"not replaced: 'graph/notes.txt' in it is not of the store; move it elsewh"):
        StoreWriter(tmp_path / "store", 10, overwrite=True)
    assert Store.open(tmp_path / "store").manifest.num_users == 5
    assert (tmp_path / "store/graph/notes.txt").read_text() == "mine"


def test_what_comes_into_a_store_while_its_successor_is_made_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "store")
    appear = StoreWriter._appear

    def late(writer: StoreWriter) -> None:
        (tmp_path / "store/late.txt").write_text("mine")
        (tmp_path / "store/linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
        appear(writer)

    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/far.txt").write_text("far")
    monkeypatch.setattr(StoreWriter, "_appear", late)
    write(tmp_path / "store", overwrite=True, times=False)
    (kept,) = tmp_path.glob(".store.replaced-*/store")
    assert {path.name for path in kept.iterdir()} == {"late.txt", "linked"}
    assert f"{kept} holds what is not of the store" in capsys.readouterr().out
    assert (tmp_path / "elsewhere/far.txt").exists()


def test_a_store_behind_a_link_is_replaced_where_it_lies(tmp_path: Path) -> None:
    write(tmp_path / "disk/store")
    (tmp_path / "link").symlink_to(tmp_path / "disk/store", target_is_directory=True)
    assert write(tmp_path / "link", overwrite=True, times=False).manifest.num_users == 5
    assert (tmp_path / "link").is_symlink() and [path.name for path in (tmp_path / "disk").iterdir()] == ["store"]


def test_a_damaged_store_can_be_made_again(tmp_path: Path) -> None:
    write(tmp_path / "store")
    text = (tmp_path / "store/manifest.json").read_text()
    (tmp_path / "store/manifest.json").write_text(text.replace('"num_users": 5', '"num_users": 6'))
    (tmp_path / "store/ids/users-00000.arrow").unlink()
    assert write(tmp_path / "store", overwrite=True).manifest.num_users == 5


def test_a_store_is_made_by_one_process_at_a_time(tmp_path: Path) -> None:
    holding = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from dualgnn_dist.data.store.writer import StoreWriter\n"
        "with StoreWriter(Path(sys.argv[1]), 10) as writer:\n"
        "    print(writer.folder, flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", holding, str(tmp_path / "store")]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    unfinished = Path(first.stdout.readline().strip())
    try:
        with pytest.raises(UserError, match=rf"store .*is being written by process {first.pid} on .* since 20"):
            write(tmp_path / "store")
        assert unfinished.is_dir()  # the newcomer takes nothing from who is at work
    finally:
        first.kill()
        first.wait()
    assert write(tmp_path / "store").manifest.num_users == 5 and not unfinished.exists()


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), StoreWriter(tmp_path / "store", 10) as writer:
        writer.append("ids/users", {"id": np.arange(5)})
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_leaves_nothing_that_opens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = (
        "import os, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from dualgnn_dist.data.store import writer\n"
        "w = writer.StoreWriter(Path(sys.argv[1]), 10)\n"
        "w.append('ids/users', {'id': np.arange(5)})\n"
        "w.append('ids/items', {'id': np.arange(5)})\n"
        "os.kill(os.getpid(), 9)\n"
    )
    finished = subprocess.run([sys.executable, "-c", script, str(tmp_path / "store")], check=False)
    assert finished.returncode == -9
    lock, left = sorted(tmp_path.iterdir(), reverse=True)
    assert lock.name == ".store.writer" and left.name.startswith(".store.unfinished-")
    for folder in [tmp_path / "store", left]:
        with pytest.raises(UserError, match="not a store or an unfinished one"):
            Store.open(folder)
    (tmp_path / ".store.unfinished-mine").mkdir()
    (tmp_path / ".store.unfinished-mine/thesis.txt").write_text("years of work")
    capsys.readouterr()
    assert write(tmp_path / "store").manifest.num_users == 5  # and the next one is not hindered
    said = capsys.readouterr().out
    assert f"{left}, left by a prepare that was killed, is deleted" in said and "(thesis.txt): it stays" in said
    assert {path.name for path in tmp_path.iterdir()} == {"store", ".store.unfinished-mine"}


def test_the_writer_holds_the_shard_sizes(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "store", 4) as writer:
        writer.append("ids/users", {"id": np.arange(3)})
        with pytest.raises(AssertionError, match="only the last shard may be short"):
            writer.append("ids/users", {"id": np.arange(3)})
        with pytest.raises(AssertionError, match="5 rows"):
            writer.append("ids/items", {"id": np.arange(5)})
