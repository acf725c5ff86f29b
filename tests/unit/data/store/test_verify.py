"""`prepare --verify`: every byte read, a table of the files, exit code 2 where something is wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dualgnn_dist import prepare
from dualgnn_dist.base.command_line import run_program
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.schema import MANIFEST
from dualgnn_dist.data.store.verify import verify
from dualgnn_dist.data.store.writer import StoreWriter
from tests.unit.data.store.small_store import NEIGHBORS, write
from tests.unit.data.store.test_damage import _flip


def copy_damaged(store: Path, to: Path) -> dict[str, str]:
    """What is wrong with which file."""
    shutil.copytree(store, to)
    _flip(to / "graph/user_item-00001.arrow", 4)
    os.truncate(to / "ids/users-00000.arrow", 10)
    (to / "interactions/test-00002.arrow").unlink()
    return {
        "graph/user_item-00001.arrow": "its checksum differs",
        "ids/users-00000.arrow": "has 10 bytes",
        "interactions/test-00002.arrow": "is missing|no such file",
    }


@pytest.mark.parametrize("is_remote", [False, True])
def test_every_file_has_a_line(
    is_remote: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "600")
    store = write(tmp_path / "store")
    wrong = copy_damaged(store.path, tmp_path / "damaged")
    whole, damaged = (path.as_uri() if is_remote else str(path) for path in (store.path, tmp_path / "damaged"))
    prepare.main(["--verify", whole])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert len(lines) == 1 + len(store.manifest.shards) and all(re.search(r"│ +ok │$", line) for line in lines)
    with pytest.raises(SystemExit) as ended:
        run_program(lambda: prepare.main(["--verify", damaged]))
    printed = capsys.readouterr()
    assert ended.value.code == 2 and f"3 of the {len(lines)} files of {damaged} are damaged" in printed.err
    told = {line.split("│")[1].strip(): line for line in printed.out.splitlines() if line.startswith("│")}
    assert {name for name, line in told.items() if not line.endswith(" ok │")} == set(wrong)
    for name, problem in wrong.items():
        assert re.search(problem, told[name]), told[name]
    assert not list((tmp_path / "cache").rglob("*.arrow"))


def test_graphs_that_contradict_each_other(tmp_path: Path) -> None:
    """Whole in every file, as a faulty program would write them."""
    lists = pa.array(NEIGHBORS, pa.large_list(pa.int32()))
    users = pa.array([[2], [0, 4], [3], [3], [3, 0], [], []], lists.type)
    others = pa.array([[2], [0, 4], [3], [], [3, 0], [3], []], lists.type)
    for name, item_user in (("right", users), ("wrong", others)):
        with StoreWriter(tmp_path / name, 100) as writer:
            for kind, size in (("users", 5), ("items", 7)):
                writer.append_rows(f"ids/{kind}", {"id": np.arange(size)})
            columns = dict.fromkeys(("user", "item"), np.zeros(7, dtype=np.int32))
            writer.append_rows("interactions/train", columns)
            writer.append_rows("graph/user_item", {"neighbors": lists})
            writer.append_rows("graph/item_user", {"neighbors": item_user})
            writer.append_rows("graph/user_cooccurrence", {"neighbors": lists, "counts": lists})
            counts = {"train": 7, "valid": 0, "test": 0}
            writer.commit(num_users=5, num_items=7, num_interactions=counts, modalities={}, settings={}, sources={})
    assert not [report for report in verify(str(tmp_path / "right")) if report.problem]
    wrong = [report for report in verify(str(tmp_path / "wrong")) if report.problem]
    assert len(wrong) == 1 and "graph/user_item and graph/item_user are not the same" in str(wrong[0].problem)


def test_a_manifest_of_an_older_program(tmp_path: Path) -> None:
    folder = write(tmp_path / "store").path
    values = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**values, "settings": {}}))
    reports = verify(str(folder))
    assert reports[0].file == MANIFEST and "has no checksum of its own" in reports[0].note
    assert not [report for report in reports if report.problem]
    (folder / MANIFEST).write_text(json.dumps({**values, "settings": {}, "num_users": 6}))
    assert "num_users" in str(verify(str(folder))[0].problem) or "rows" in str(verify(str(folder))[0].problem)


def test_what_else_is_asked_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--verify makes nothing"):
        prepare.main(["--verify", str(tmp_path), "--overwrite"])
    with pytest.raises(UserError, match="is not a store"):
        prepare.main(["--verify", str(tmp_path)])
