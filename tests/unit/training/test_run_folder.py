"""The folder of a run: one run a name, and its name is free again if it never started."""

from __future__ import annotations

from pathlib import Path

import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.training import run_folder
from dualgnn_dist.training.run_folder import CONFIG, HISTORY


def config_yaml(epochs: int, width: int = 8) -> str:
    return f"model: {{name: dualgnn, width: {width}}}\ntrain: {{epochs: {epochs}}}\n"


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "first"
    with pytest.raises(UserError, match=r"there is no run to resume at .*first; leave out --resume to start it"):
        run_folder.create(path, config_yaml(1), resume=True)
    assert not path.exists()
    run_folder.create(path, config_yaml(1), resume=False)
    with pytest.raises(UserError, match=r"first exists; continue it with --resume, or choose another .*run\.name="):
        run_folder.create(path, config_yaml(2), resume=False)
    with pytest.raises(UserError, match=r"was started with model\.width=8, the config says 9; resume it as it was"):
        run_folder.create(path, config_yaml(1, width=9), resume=True)
    assert (path / CONFIG).read_text() == config_yaml(1)
    run_folder.create(path, config_yaml(3), resume=True)  # longer, but the same run
    assert (path / CONFIG).read_text() == config_yaml(3)
    assert [file.name for file in path.iterdir()] == [CONFIG]


@pytest.mark.parametrize("sign_of_life", [None, HISTORY, "checkpoints"])
def test_a_run_that_never_started_leaves_its_name_free(tmp_path: Path, sign_of_life: str | None) -> None:
    path = tmp_path / "run"
    run_folder.create(path, "a: 1\n", resume=False)
    if sign_of_life:
        (path / sign_of_life).mkdir()
    run_folder.remove_unless_started(path)
    assert path.exists() == (sign_of_life is not None)


@pytest.mark.parametrize("damage", [b"", b"[1]", b"model: 3", b"a: {", b"\xff\xfe", b"[" * 5000, b"a: &x [*x]"])
def test_a_run_with_a_damaged_config_is_refused_with_its_name(tmp_path: Path, damage: bytes) -> None:
    run_folder.create(tmp_path / "run", config_yaml(1), resume=False)
    (tmp_path / "run" / CONFIG).write_bytes(damage)
    with pytest.raises(UserError, match=r"run/config\.yaml is damaged"):
        run_folder.check(tmp_path / "run", config_yaml(2), resume=True)
