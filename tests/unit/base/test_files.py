"""Files that hold the old text or the new one, never a part."""

from __future__ import annotations

from pathlib import Path

import pytest

from dualgnn_dist.base.files import write_atomically


def test_a_failed_write_leaves_the_old_text(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \ud800")  # a lone surrogate cannot be written
    assert path.read_text() == "old"
    write_atomically(path, "new")
    assert path.read_text() == "new"
