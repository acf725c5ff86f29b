"""Names of runs, sweeps and studies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualgnn_dist.base.storage.names import MAX_BYTES, check_name, inside

TOO_LONG = "a" * (MAX_BYTES + 1), "é" * (MAX_BYTES // 2 + 1)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "-rf",
        "a/b",
        "/",
        "a\\b",
        " a",
        "a ",
        "\t",
        "a\nb",
        "a\x1b[31mb",
        "a\x00",
        "a\u202eb",
        *TOO_LONG,
    ],
)
def test_a_name_that_is_no_plain_folder_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must be a plain folder name"):
        check_name(name)


@pytest.mark.parametrize(
    "name", ["a", "tiktok_dualgnn_s1", "a.b", "a b", "über", "[red]", "a" * MAX_BYTES, "100%", "x..y"]
)
def test_a_plain_name_is_taken(name: str) -> None:
    check_name(name)


@given(st.text(max_size=30))
def test_a_name_that_is_taken_stays_in_its_folder_and_on_its_line(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    try:
        check_name(name)
    except ValueError:
        return
    base = tmp_path_factory.getbasetemp()
    (base / name).mkdir(exist_ok=True)
    assert (base / name).resolve().parent == base.resolve()
    assert len(name.splitlines()) == 1 and not name.startswith("-")


@given(st.lists(st.sampled_from(["a", "..", ".", "", "/", "\\", "\0", "é", "a b", "-"]), max_size=6).map("/".join))
def test_a_path_that_is_taken_stays_inside(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    base = tmp_path_factory.getbasetemp()
    try:
        path = inside(base, name)
    except ValueError:
        assert {"", ".", ".."} & {*name.split("/")} or "\\" in name or "\0" in name
        return
    assert path.resolve().is_relative_to(base.resolve()) and path.resolve() != base.resolve()
