"""Arrays on the disk hold what they are given, and leave no file."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.interactions import InteractionTable
from dualgnn_dist.data.prepare.scratch import Scratch
from tests.unit.data.prepare.stores import table_of

SCRATCH = Scratch(Path(tempfile.gettempdir()), block_rows=7)


def test_scratch_holds_what_it_is_given_and_leaves_no_file(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path, block_rows=3)
    assert [(part.start, part.stop) for part in scratch.blocks(7)] == [(0, 3), (3, 6), (6, 7)]
    assert [(part.start, part.stop) for part in scratch.blocks(0)] == [(0, 0)]
    column = scratch.empty(5, np.int64)
    column[:] = np.arange(5)
    users, items = np.arange(5, dtype=np.int32), np.arange(5, 10, dtype=np.int32)
    table = InteractionTable(users, items, column)
    stacked = scratch.stack(table.take(part) for part in scratch.blocks(5))
    assert {name: values.tolist() for name, values in stacked.columns.items()} == {
        name: values.tolist() for name, values in table.columns.items()
    }
    empty = scratch.stack([table.take(slice(0, 0))])
    assert len(empty) == 0 and empty.columns.keys() == table.columns.keys()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("num_rows", [0, 1, 2, 1000])
def test_permutations_are_numpys(num_rows: int) -> None:
    permutation = SCRATCH.permutation(num_rows, np.random.default_rng(3))
    assert permutation.dtype == np.int32
    assert permutation.tolist() == np.random.default_rng(3).permutation(num_rows).tolist()


def test_no_room_for_scratch_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    scratch = Scratch(tmp_path, block_rows=3)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        UserError, match=f"{tmp_path} cannot be written: its disk is full .0.0 MB are needed and .* are free.; make"
    ):
        scratch.empty(5, np.int8)
    with pytest.raises(UserError, match="scratch files cannot be written"):
        Scratch(tmp_path / "missing", block_rows=3).stack([table_of([(1, 1)])])
