"""Ray's sockets: a temporary folder that is too long for them is refused before Ray starts."""

from __future__ import annotations

import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.launch.ray_temporary import LIMIT, refuse_long_folder


@pytest.mark.parametrize("name", ["TMPDIR", "RAY_TMPDIR"])
def test_a_long_folder_is_refused_unless_ray_runs_already(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in ("TMPDIR", "RAY_TMPDIR", "RAY_ADDRESS"):
        monkeypatch.delenv(other, raising=False)
    refuse_long_folder()
    monkeypatch.setenv(name, "/tmp/" + "x" * 20)
    refuse_long_folder()
    monkeypatch.setenv(name, "/tmp/" + "x" * 60)
    with pytest.raises(UserError, match=rf"^{name}=/tmp/x+ is too long .* takes {LIMIT}; set RAY_TMPDIR to a shorter"):
        refuse_long_folder()
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    refuse_long_folder()
