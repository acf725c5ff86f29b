"""What `explain` shows of a run made by hand, from its folder and from its URL; and whom it finds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dualgnn_dist import explain
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.results.raw_ids import rows_of


def test_a_run_at_a_url_is_explained_here(
    make_run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "cache"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    explain.main(["--run", make_run("far", settings=("model.name=dualgnn",)).as_uri(), "--communities", "2"])
    assert [path.name for path in here.iterdir()] == ["far_explanation"]
    assert sorted(path.name for path in (here / "far_explanation").iterdir()) == [
        "modality_weights.md",
        "modality_weights.png",
    ]
    assert str(here / "far_explanation") in capsys.readouterr().out


def test_what_cannot_be_written_is_said(make_run: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = make_run("near", settings=("model.name=dualgnn",))
    with pytest.raises(UserError, match=r"cannot be written \(Not a directory\); choose another folder with --output"):
        explain.main(["--run", str(run), "--output", str(tmp_path / "file" / "below")])


def test_a_user_is_found_by_its_raw_id(demo_store: Store) -> None:
    for row, raw_id in enumerate(demo_store.ids("users").to_pylist()):
        assert rows_of(demo_store, "users", [str(raw_id)]).tolist() == [row]
    with pytest.raises(UserError, match=r"has no user 'x7'; did you mean '7'\?"):
        rows_of(demo_store, "users", ["x7"])
