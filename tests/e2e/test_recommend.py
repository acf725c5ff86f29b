"""`recommend` as one types it: from a trained run to lists on the screen and in files, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from dualgnn_dist import export, recommend
from dualgnn_dist.data.store.reader import Store


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("finished")


@pytest.fixture
def run(kept: Path, trained: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tiny run for each test; it is trained once."""
    monkeypatch.setenv("COLUMNS", "160")
    if not (kept / "tiny").exists():
        shutil.copytree(trained(), kept / "tiny")
    shutil.rmtree(tmp_path / "runs", ignore_errors=True)
    return Path(shutil.copytree(kept / "tiny", tmp_path / "runs" / "tiny"))


def test_lists_on_the_screen_are_those_of_the_file(
    run: Path, tiny_store: Path, call: Callable[..., Any], tmp_path: Path
) -> None:
    users = [str(name) for name in Store.open(tiny_store).ids("users").to_pylist()][:2]
    shown = call(recommend.main, "--run", run, "--users", *users, "--k", 3)
    assert shown.code == 0, shown
    output = tmp_path / "lists.jsonl"
    said = call(recommend.main, "--run", run, "--users", *users, "--k", 3, "--output", output)
    assert said.code == 0 and f"lists of 2 users, 3 items each: {output}" in said.output
    for line in map(json.loads, output.read_text().splitlines()):
        assert f"user {line['user']}" in shown.output
        for item, score in zip(line["items"], line["scores"], strict=True):
            assert f" {item} " in shown.output and f"{score:.4f}" in shown.output


def test_all_users_in_one_file(run: Path, tiny_store: Path, call: Callable[..., Any], tmp_path: Path) -> None:
    store, output = Store.open(tiny_store), tmp_path / "lists.parquet"
    assert call(recommend.main, "--run", run, "--all", "--k", 4, "--output", output).code == 0
    table = pq.read_table(output)
    assert table["user"].unique().to_pylist() == store.ids("users").to_pylist()
    assert table.num_rows == 4 * store.manifest.num_users


def test_candidates_and_similar_items(run: Path, tiny_store: Path, call: Callable[..., Any], tmp_path: Path) -> None:
    items = [str(name) for name in Store.open(tiny_store).ids("items").to_pylist()]
    (tmp_path / "stock.txt").write_text("\n".join(items[:5]))
    output = tmp_path / "lists.jsonl"
    flags = ("--candidates", tmp_path / "stock.txt", "--include-seen", "--output", output)
    assert call(recommend.main, "--run", run, "--users", 0, "--k", 9, *flags).code == 0
    (line,) = map(json.loads, output.read_text().splitlines())
    assert sorted(str(item) for item in line["items"]) == sorted(items[:5])
    said = call(recommend.main, "--run", run, "--similar", items[7], "--k", 2)
    assert said.code == 0 and f"items like {items[7]}" in said.output and "cosine" in said.output


def test_what_is_wrong_is_said(
    run: Path, refused: Callable[..., str], call: Callable[..., Any], tmp_path: Path
) -> None:
    of_run = (recommend.main, "--run", run)
    assert "has no user 'nobody'; did you mean" in refused(*of_run, "--users", "nobody")
    assert "has no item 'nothing'; did you mean" in refused(*of_run, "--similar", "nothing")
    assert "k=0: a list has at least one item" in refused(*of_run, "--users", "0", "--k", "0")
    assert "must end in .parquet or .jsonl" in refused(*of_run, "--users", "0", "--output", tmp_path / "a.csv")
    (tmp_path / "users.txt").write_text("\n".join(str(user % 400) for user in range(60)))
    assert "60 lists are too many for a screen" in refused(*of_run, "--users-file", tmp_path / "users.txt")
    for words in ((), ("--all",), ("--similar", "1", "--output", tmp_path / "a.parquet")):
        said = call(*of_run, *words)
        assert said.code == 2 and "usage: " in said.error and "Traceback" not in said.error
    assert not (tmp_path / "a.csv").exists()


def test_vectors_are_exported_into_the_run(run: Path, call: Callable[..., Any], refused: Callable[..., str]) -> None:
    said = call(export.main, "--run", run, "--to", "npy")
    assert said.code == 0 and "vectors of 400 users and 200 items, width 8; a score is an inner product" in said.output
    assert {path.name for path in (run / "vectors_npy").iterdir()} == {
        *("users.npy", "items.npy", "users.parquet", "items.parquet", "vectors.json")
    }
    assert "is there already; remove it" in refused(export.main, "--run", run, "--to", "npy")
    assert "give the folder or the URL" in refused(export.main, "--run", run / "nothing", "--to", "npy")
