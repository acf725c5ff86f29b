"""A library that is not there is missed at first use, in words; one that is there is itself."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path

import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.optional import optional


def test_a_library_that_is_there_is_itself() -> None:
    stand_in = optional("json", "writing a page")
    assert stand_in.dumps is json.dumps
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = stand_in.nothing


def test_it_is_imported_when_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "seldom_used.py").write_text("ANSWER = 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    stand_in = optional("seldom_used", "answering")
    assert "seldom_used" not in sys.modules
    assert stand_in.ANSWER == 42 and "seldom_used" in sys.modules
    del sys.modules["seldom_used"]


def test_a_library_that_is_missing_is_named_with_its_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = optional("not_installed", "preparing a store")
    message = (
        r"^preparing a store needs not_installed, which cannot be imported here \(No module named 'not_installed'\): "
        r"pip install not_installed$"
    )
    with pytest.raises(UserError, match=message):
        _ = stand_in.DataFrame
    (tmp_path / "broken.py").write_text("raise ImportError('no such processor')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"needs broken, which cannot be imported here \(no such processor\)"):
        _ = optional("broken", "drawing").line


def test_what_every_object_is_asked_for_imports_nothing() -> None:
    stand_in = optional("not_installed", "preparing a store")
    assert not hasattr(stand_in, "__wrapped__")
    with pytest.raises(UserError, match="preparing a store needs"):
        _ = copy.copy(stand_in).DataFrame
