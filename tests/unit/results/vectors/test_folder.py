"""Exported vectors: what is read back is what the run learned, and an index lists what the run lists."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.optional import optional
from dualgnn_dist.results.recommend import opened_run
from dualgnn_dist.results.recommend.lists import Request
from dualgnn_dist.results.recommend.opened_run import OpenedRun
from dualgnn_dist.results.vectors import files, indexes
from dualgnn_dist.results.vectors.folder import export_to

PAGE = Path(__file__).parents[4] / "docs/recommend.md"
KINDS = ("parquet", "npy", "safetensors", "faiss", "hnsw")


@pytest.fixture
def opened(make_run: Callable[..., Path]) -> OpenedRun:
    return OpenedRun.read(str(make_run("a", workers=2)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_folder_has_all_ids_in_row_order(opened: OpenedRun, tmp_path: Path, kind: str) -> None:
    about = export_to(tmp_path / "out", opened, kind)
    for side in ("users", "items"):
        ids = pq.read_table(tmp_path / "out" / f"{side}.parquet")["id"]
        assert ids.to_pylist() == opened.store.ids(side).to_pylist()  # type: ignore[arg-type]
    assert json.loads((tmp_path / "out/vectors.json").read_text()) == about
    assert about["score"] == "inner product" and about["width"] == opened.learned.items.shape[1]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("kind", ["parquet", "npy", "safetensors"])
def test_vectors_are_those_learned_bit_for_bit(opened: OpenedRun, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "out"
    export_to(folder, opened, kind)
    for side in ("users", "items"):
        assert np.array_equal(read_back(folder, side, kind), getattr(opened.learned, side))
    if kind == "parquet":
        weights = pq.read_table(folder / "users.parquet")["weight_visual"].to_numpy()
        assert np.array_equal(weights, opened.learned.columns["weight_visual"])


def read_back(folder: Path, side: str, kind: str) -> np.ndarray:
    if kind == "npy":
        return np.load(folder / f"{side}.npy", allow_pickle=False)
    if kind == "safetensors":
        from safetensors.numpy import load_file

        return load_file(folder / "vectors.safetensors")[side]
    return np.array(pq.read_table(folder / f"{side}.parquet")["vector"].to_pylist(), dtype=np.float32)


def test_a_flat_index_lists_what_the_run_lists(opened: OpenedRun, tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    export_to(tmp_path / "out", opened, "faiss")
    index = faiss.read_index(str(tmp_path / "out/items.faiss"))
    scores, rows = index.search(np.load(tmp_path / "out/users.npy"), 10)
    lists = opened.rank(np.arange(len(opened.learned.users)), Request(10, include_seen=True))
    assert np.array_equal(rows, lists.items)
    assert scores == pytest.approx(lists.scores, abs=1e-5)


def test_the_recall_of_a_graph_is_measured(opened: OpenedRun, tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    assert export_to(tmp_path / "out", opened, "hnsw")["recall@20"] > 0.9
    empty = faiss.IndexIDMap(faiss.IndexFlatIP(opened.learned.items.shape[1]))
    assert indexes.recall_of(empty, opened) == 0
    half = np.arange(0, len(opened.learned.items), 2)
    empty.add_with_ids(opened.learned.items[half], half)
    assert 0.3 < indexes.recall_of(empty, opened) < 0.7


def test_only_rankable_items_are_in_an_index(
    opened: OpenedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faiss = pytest.importorskip("faiss")
    warm = np.arange(1, len(opened.learned.items), 3)
    for module in (files, opened_run):
        monkeypatch.setattr(module, "candidate_items", lambda store, kind: warm)
    about = export_to(tmp_path / "out", opened, "faiss")
    index = faiss.read_index(str(tmp_path / "out/items.faiss"))
    labels = faiss.vector_to_array(index.id_map)
    assert np.array_equal(labels, warm) and about["num_rankable_items"] == len(warm)
    rankable = pq.read_table(tmp_path / "out/items.parquet")["rankable"].to_numpy()
    assert np.array_equal(np.flatnonzero(rankable), warm)


def test_what_is_there_stays(opened: OpenedRun, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").write_text("mine")
    with pytest.raises(UserError, match="is there already; remove it, or choose another folder"):
        export_to(tmp_path / "out", opened, "npy")
    assert (tmp_path / "out/mine").read_text() == "mine"


def test_what_breaks_off_leaves_nothing(opened: OpenedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "faiss", optional("no_such_module", "an index", package="faiss-cpu"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"an index needs no_such_module.*pip install faiss-cpu"):
        export_to(tmp_path / "empty/out", opened, "faiss")
    assert list((tmp_path / "empty").iterdir()) == []


def test_the_pages_lines_for_faiss_run(
    opened: OpenedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("faiss")
    export_to(tmp_path / "vectors_faiss", opened, "faiss")
    (code,) = re.findall(r"```python\n(import faiss.*?)```", PAGE.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(code, "recommend.md", "exec"), names)
    lists = opened.rank(np.array([0, 1]), Request(10, include_seen=True))
    expected = [opened.store.ids("items", row).to_pylist() for row in lists.items]
    assert names["ids"][names["rows"]].tolist() == expected
    assert capsys.readouterr().out


def test_the_pages_lines_for_duckdb_run(opened: OpenedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb = pytest.importorskip("duckdb")
    export_to(tmp_path / "vectors_parquet", opened, "parquet")
    (query,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    row = opened.store.find_id("users", "17")
    lists = opened.rank(np.array([row]), Request(10, include_seen=True))
    found = duckdb.sql(query).fetchall()
    assert [item for item, _ in found] == opened.store.ids("items", lists.items[0]).to_pylist()
    assert [score for _, score in found] == pytest.approx(lists.scores[0], abs=1e-5)
    shutil.rmtree(tmp_path / "vectors_parquet")
