"""A full disk: an OSError before a mapped file is touched, a sentence at the end."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.storage import space
from dualgnn_dist.base.storage.files import write_atomically


@pytest.fixture
def largest_file() -> Iterator[int]:
    """Files of at most so many bytes: the one full disk that every machine can have."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    yield 100_000
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("can_reserve", [True, False])
def test_room_is_taken_or_refused(
    tmp_path: Path, largest_file: int, monkeypatch: pytest.MonkeyPatch, can_reserve: bool
) -> None:
    def refuse(*args: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not on this file system")

    if not can_reserve:
        monkeypatch.setattr(os, "posix_fallocate", refuse)
    with (tmp_path / "file").open("w+b") as file:
        file.write(b"kept")
        file.flush()
        space.reserve(file.fileno(), largest_file)
        assert os.fstat(file.fileno()).st_size == largest_file
        file.seek(0)
        assert file.read(6) == b"kept\0\0"
        with pytest.raises(OSError) as caught:
            space.reserve(file.fileno(), largest_file + 1)
    assert space.is_full(caught.value)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_a_sentence(tmp_path: Path, number: int) -> None:
    path = tmp_path / "not there yet" / "file"
    with (
        pytest.raises(
            UserError, match=r"not there yet/file cannot be written: .*2,000\.0 MB are needed and [\d,.]+ MB"
        ),
        space.explained(path, num_bytes=2_000_000_000),
    ):
        raise OSError(number, os.strerror(number))


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), space.explained(tmp_path):
        raise PermissionError(errno.EACCES, "no")


def test_a_file_written_whole_leaves_nothing_of_itself_behind(tmp_path: Path, largest_file: int) -> None:
    write_atomically(tmp_path / "file", "old")
    with pytest.raises(
        UserError, match=r"file cannot be written: files may not become as large there \([\d,.]+ MB are"
    ):
        write_atomically(tmp_path / "file", "x" * (largest_file + 1))
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_text() == "old"
