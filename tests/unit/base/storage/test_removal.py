"""What is deleted: what was named, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from dualgnn_dist.base.storage.names import inside
from dualgnn_dist.base.storage.removal import files_below, remove_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("made/manifest.json", "made/graph/a.arrow", "made/graph/deep/b.arrow", "made/notes/mine.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "beside.txt").write_text("beside")
    return tmp_path / "made"


def test_named_files_and_emptied_folders_go_alone(folder: Path) -> None:
    left = remove_files(folder, ["manifest.json", "graph/a.arrow", "graph/deep/b.arrow", "never/was.arrow"])
    assert left == files_below(folder) == ["notes/mine.txt"]
    assert not (folder / "graph").exists()
    assert remove_files(folder, ["notes/mine.txt"]) == []
    assert not folder.exists()


@pytest.mark.parametrize(
    "name",
    ["../beside.txt", "graph/../../beside.txt", "/etc/hostname", "", "graph//a.arrow", "./made", "a\\b"],
)
def test_a_name_that_leads_out_deletes_nothing_at_all(folder: Path, name: str) -> None:
    before = files_below(folder.parent)
    with pytest.raises(ValueError, match="no path inside the folder"):
        remove_files(folder, ["manifest.json", name])
    with pytest.raises(ValueError, match="no path inside the folder"):
        inside(folder, name)
    assert files_below(folder.parent) == before


def test_links_are_not_followed(folder: Path) -> None:
    (folder / "link.txt").symlink_to(folder.parent / "beside.txt")
    (folder / "linked").symlink_to(folder.parent, target_is_directory=True)
    assert {"link.txt", "linked"} < set(files_below(folder))
    remove_files(folder, ["link.txt", "linked/beside.txt", "linked"])
    assert (folder.parent / "beside.txt").read_text() == "beside"
    assert not {"link.txt", "linked"} & set(files_below(folder))
    (folder / "linked").symlink_to(folder.parent, target_is_directory=True)
    with pytest.raises(ValueError, match="through a link"):
        inside(folder, "linked/beside.txt")
    (folder.parent / "other").symlink_to(folder, target_is_directory=True)
    remove_files(folder.parent / "other", ["manifest.json"])
    assert (folder / "manifest.json").exists()
