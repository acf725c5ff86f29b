"""Exported representations come back as they were, with the raw ids beside the rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from dualgnn_dist.evaluation import representations


@pytest.mark.parametrize("ids", [pa.array([70, 50, 30]), pa.array(["b", "a", "ü"])], ids=["int64", "string"])
def test_what_is_written_is_read(tmp_path: Path, ids: pa.Array) -> None:
    path = tmp_path / "new" / "folder" / "users.arrow"
    rows, vectors = np.array([4, 1, 9]), np.random.default_rng(1).standard_normal((3, 5)).astype(np.float32)
    representations.write(path, rows, ids, vectors)
    found_rows, found_ids, found_vectors, _ = representations.read(path)
    assert found_rows.tolist() == [4, 1, 9] and found_ids.equals(ids)
    assert found_vectors.dtype == np.float32
    np.testing.assert_array_equal(found_vectors, vectors)
    assert [file.name for file in path.parent.iterdir()] == ["users.arrow"]  # no temporary file stays


def test_any_arrow_reader_reads_it(tmp_path: Path) -> None:
    vectors = np.arange(6, dtype=np.float64).reshape(3, 2).T  # neither contiguous nor float32
    representations.write(tmp_path / "items.arrow", np.array([0, 1]), pa.array(["x", "y"]), vectors)
    frame = pl.read_ipc(tmp_path / "items.arrow")
    assert frame.schema == {"row": pl.Int64, "id": pl.String, "vector": pl.Array(pl.Float32, 3)}
    assert frame["vector"].to_list() == vectors.tolist()


def test_a_worker_without_rows_writes_an_empty_file(tmp_path: Path) -> None:
    representations.write(tmp_path / "users.arrow", np.empty(0, np.int64), pa.array([], pa.int64()), np.empty((0, 4)))
    rows, ids, vectors, _ = representations.read(tmp_path / "users.arrow")
    assert len(rows) == len(ids) == 0 and vectors.shape == (0, 4)


def test_a_write_that_is_cut_off_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "users.arrow"
    representations.write(path, np.array([1]), pa.array([10]), np.ones((1, 2)))

    def cut_off(sink: pa.NativeFile, schema: pa.Schema) -> None:
        sink.write(b"ARROW1")
        raise OSError("no space left")

    monkeypatch.setattr(representations.pa.ipc, "new_file", cut_off)
    with pytest.raises(OSError, match="no space left"):
        representations.write(path, np.array([2]), pa.array([20]), np.ones((1, 2)))
    assert representations.read(path)[0].tolist() == [1]


def test_a_damaged_byte_is_read_or_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "users.arrow"
    representations.write(path, np.array([1, 0]), pa.array(["b", "a"]), np.ones((2, 3)), identity={"run": "one"})
    content, num_refused = path.read_bytes(), 0
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0x40  # of a bit width of 32, too: Arrow says that it is not implemented
        path.write_bytes(damaged)
        for reads in (representations.identity_of, representations.read):
            try:
                reads(path)
            except (OSError, ValueError):
                num_refused += 1
    assert num_refused > 100
