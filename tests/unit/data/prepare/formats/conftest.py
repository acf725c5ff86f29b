"""Files in blocks so small that every place and every list crosses one."""

from __future__ import annotations

import pytest

from dualgnn_dist.data.prepare import reading
from dualgnn_dist.data.prepare.formats import dualgnn, mmrec
from dualgnn_dist.data.prepare.formats.readers import columns, lists, tensor, words


@pytest.fixture
def tiny_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of one or two rows, so that every place and every list crosses one."""
    for module in (columns, mmrec, dualgnn):
        monkeypatch.setattr(module, "BLOCK_ROWS", 2)
    for module in (lists, tensor, words):
        monkeypatch.setattr(module, "BLOCK_ITEMS", 2)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 1)
