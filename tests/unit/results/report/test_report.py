"""The verb `report`: one file, from a folder or a URL; what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dualgnn_dist import report
from dualgnn_dist.base.errors import UserError


def test_the_verb_writes_one_file(make_demo_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_demo_run()
    report.main(["--run", str(folder)])
    assert str(folder / "report.html") in capsys.readouterr().out and (folder / "report.html").is_file()
    with pytest.raises(UserError, match="must be the name of a page"):
        report.main(["--run", str(folder), "--output", str(folder / "config.yaml")])
    (folder / "taken.html").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        report.main(["--run", str(folder), "--output", str(folder / "taken.html")])


def test_the_verb_refuses_what_is_no_folder(tmp_path: Path) -> None:
    for option in ("--run", "--sweep"):
        with pytest.raises(UserError, match="there is no such folder"):
            report.main([option, str(tmp_path / "none")])
        with pytest.raises(UserError, match="it has no"):
            report.main([option, str(tmp_path)])


@pytest.mark.parametrize("finished", [True, False])
def test_a_run_at_a_url_has_its_page_here(
    make_demo_run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: bool
) -> None:
    monkeypatch.setenv("DUALGNN_CACHE", str(tmp_path / "cache"))
    here, there = tmp_path / "here", tmp_path / "bucket" / "far"
    here.mkdir()
    monkeypatch.chdir(here)
    shutil.copytree(make_demo_run(finished=finished), there)
    report.main(["--run", there.as_uri()])
    assert [path.name for path in here.iterdir()] == ["far_report.html"]
    assert ("Test metrics" in (here / "far_report.html").read_text()) == finished
    assert not (there / "report.html").exists()
    report.main(["--run", there.as_uri(), "--output", "named.html"])
    assert (here / "named.html").is_file()
    with pytest.raises(UserError, match=r"is not the folder of a run: it has no config\.yaml"):
        report.main(["--run", tmp_path.as_uri()])


def test_a_sweep_lies_in_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a URL, and a sweep lies in a folder: give the folder that `tune` named"):
        report.main(["--sweep", tmp_path.as_uri()])
