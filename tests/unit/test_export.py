"""Representations in Arrow: what is written is read, by this package and by pyarrow alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dualgnn_dist import export


@pytest.mark.parametrize("ids", [pa.array([70, 10, 2**40]), pa.array(["u7", "ü", ""])], ids=["numbers", "texts"])
def test_round_trip(ids: pa.Array, tmp_path: Path) -> None:
    rows = np.array([1, 4, 7])
    vectors = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    path = tmp_path / "representations" / "users.arrow"  # the folder is made
    export.write(path, rows, ids, vectors)
    read_rows, read_ids, read_vectors = export.read(path)
    np.testing.assert_array_equal(read_rows, rows)
    np.testing.assert_array_equal(read_vectors, vectors)
    assert read_ids.equals(ids)
    assert [file.name for file in path.parent.iterdir()] == [path.name], "a temporary file was left"


def test_columns_are_what_the_docstring_says(tmp_path: Path) -> None:
    path = tmp_path / "items.arrow"
    # A view with strides, as a part of a table's columns is.
    export.write(path, np.arange(2), pa.array([5, 6]), np.arange(12, dtype=np.float32).reshape(2, 6)[:, ::2])
    with pa.memory_map(str(path)) as source:
        batch = pa.ipc.open_file(source).read_all()
    assert batch.schema == pa.schema(
        {"row": pa.int64(), "id": pa.int64(), "vector": pa.list_(pa.field("item", pa.float32()), 3)}
    )
    assert batch["vector"].to_pylist() == [[0, 2, 4], [6, 8, 10]]


def test_no_rows(tmp_path: Path) -> None:
    export.write(tmp_path / "users.arrow", np.arange(0), pa.array([], pa.int64()), np.empty((0, 4), np.float32))
    rows, ids, vectors = export.read(tmp_path / "users.arrow")
    assert len(rows) == len(ids) == 0 and vectors.shape == (0, 4)


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "users.arrow"
    export.write(path, np.arange(2), pa.array([1, 2]), np.ones((2, 3), np.float32))

    def killed(sink: pa.OSFile, schema: pa.Schema) -> None:
        sink.write(b"ARROW1")
        raise KeyboardInterrupt

    monkeypatch.setattr(pa.ipc, "new_file", killed)
    with pytest.raises(KeyboardInterrupt):
        export.write(path, np.arange(2), pa.array([1, 2]), np.zeros((2, 3), np.float32))
    np.testing.assert_array_equal(export.read(path)[2], np.ones((2, 3)))
