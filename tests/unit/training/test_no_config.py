"""Files and overrides that are no config: one sentence each, whatever they hold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.training.load import load, load_prepare, parse_overrides


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- a\n- b\n", "must hold sections .*, not list"),
        (b"model: {name: caf\xe9}\n", "cannot be read as YAML: 'utf-8' codec can't decode byte 0xe9"),
        (b"model: " + b"[" * 9000, "nested more than 64 levels deep"),
        (b"2020-01-01: 1\n", "the key 2020-01-01 is no text"),
        (b"~: 1\n", "the key ~ is no text"),
        (b"model: {name: dualgnn}\nmodel: {name: bpr_mf}\n", "the key 'model' comes twice at line 2"),
        (b"model: {name: dualgnn, width: " + b"9" * 5000 + b"}\n", "9999 cannot be read"),
        (b"model: {name: dualgnn, width: " + b"x" * 5000 + b"}\n", r"model\.width='x+\.\.\.x+' must be a whole number"),
    ],
)
@pytest.mark.parametrize("read", [load, load_prepare])
def test_what_is_no_config_is_refused_in_a_sentence(read: Any, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    if read is load_prepare and "width" in message:
        pytest.skip("it looks at one section alone")
    with pytest.raises(UserError, match=message) as error:
        read(tmp_path / "a.yaml", ["prepare.format=table"])
    assert len(str(error.value)) < 1000 and "\n" not in str(error.value)


def test_a_config_is_a_plain_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for path, message in (
        (tmp_path / "pipe.yaml", "is a folder, a pipe or a device; name a plain file"),
        (tmp_path, "is a folder, a pipe or a device"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        with pytest.raises(UserError, match=message):
            load(path)
    with pytest.raises(UserError, match=r"must read section\.key=value"):
        parse_overrides(["a" + ".b" * 3000 + "=1"])
    with pytest.raises(UserError, match="nested more than 64 levels deep"):
        parse_overrides(["prepare.options=" + "[" * 3000])
