"""Files that are not what their names say."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.reading import existing, npy_array, opened, required_folder
from dualgnn_dist.data.prepare.tabular.parquet import ParquetTable


def npy(shape: str, content: bytes, dtype: str = "'<f8'") -> bytes:
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a .npy file of numbers"),
        (npy("(2, 2)", bytes(31)), "is not a .npy file of numbers"),
        (npy("(2, 2)", bytes(40)), r"goes on behind the \[2, 2\] values that its header names"),
        (npy("(10**12, 4)", bytes(32)), "is not a .npy file of numbers"),
        (npy("(1000000000000, 4)", bytes(32)), "is not a .npy file of numbers"),
        (npy("(9223372036854775807, 9223372036854775807)", bytes(32)), "is not a .npy file of numbers"),
        (npy("(-1, 4)", bytes(32)), "is not a .npy file of numbers"),
        (npy("(2, 2", bytes(32)), "is not a .npy file of numbers"),
        (npy("(True, 4)", bytes(32)), "is not a .npy file of numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_arrays_that_are_none(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "v.npy"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        npy_array(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_an_archive_of_arrays(tmp_path: Path) -> None:
    with (tmp_path / "v.npy").open("wb") as file:
        np.savez(file, a=np.zeros(3))
    with pytest.raises(UserError, match=r"v\.npy is a \.npz archive; save one array of it with numpy\.save"):
        npy_array(tmp_path / "v.npy")


def test_what_is_no_plain_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, message in (
        (tmp_path / "pipe", "is a pipe or a device; name a plain file"),
        (Path("/dev/zero"), "is a pipe or a device"),
        (tmp_path, "is a folder; name a file in it: there is none"),
        (tmp_path / ("x" * 300), "cannot be read: File name too long"),
        (tmp_path / "pipe" / "x", "does not exist"),
    ):
        with pytest.raises(UserError, match=message):
            existing(path)
    with pytest.raises(UserError, match="File name too long"):
        required_folder(str(tmp_path / ("x" * 300)), "mmrec")
    for number in range(7):
        (tmp_path / f"{number}.csv").write_text("user,item\n")
    with pytest.raises(UserError, match=r"name a file in it: 0\.csv, 1\.csv, 2\.csv, 3\.csv, 4\.csv and 2 more"):
        existing(tmp_path)
    with pytest.raises(UserError, match=f"'mmrec' takes its folder: prepare.input={tmp_path}, or look at it with"):
        required_folder(str(tmp_path / "0.csv"), "mmrec")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "v.npy").write_bytes(b"")

    def refuse(*arguments: object, **keywords: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "v.npy"))

    monkeypatch.setattr(Path, "open", refuse)  # permissions do not stop who is root
    monkeypatch.setattr(np, "load", refuse)
    with pytest.raises(UserError, match=r"v\.npy cannot be read: Permission denied"), opened(tmp_path / "v.npy"):
        pass
    with pytest.raises(UserError, match=r"v\.npy cannot be read: Permission denied"):
        npy_array(tmp_path / "v.npy")


def test_a_damaged_parquet_footer_is_read_or_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    pl.DataFrame({"item": ["a", "b"], "vector": [[1.0, 2.0], [3.0, 4.0]]}).write_parquet(path)
    content, num_refused = path.read_bytes(), 0
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    for place in range(footer, len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0x01  # polars panics on some of them, rather than raise
        path.write_bytes(damaged)
        try:
            assert ParquetTable(path).columns
        except UserError as error:
            assert str(path) in str(error)
            num_refused += 1
    assert num_refused > 100
