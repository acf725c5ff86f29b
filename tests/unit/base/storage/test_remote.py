"""Folders behind URLs. What S3 does is in tests/e2e/test_remote_storage.py, on a server."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from pyarrow import fs

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.storage.remote import RemoteFolder, filesystem, in_parallel, is_url, join


@pytest.mark.parametrize(
    "text", ["s3://bucket/x", "gs://b", "file:///x", "hdfs://name:8020/x", "abfs://c@a/x", "foo://x"]
)
def test_a_url_is_one(text: str) -> None:
    assert is_url(text)


@pytest.mark.parametrize("text", ["stores/x", "/stores/x", "C:\\x", "c://x", "~/x", "s3:/x", "", "x/s3://y"])
def test_a_path_is_no_url(text: str) -> None:
    assert not is_url(text)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s4://bucket/x", "unknown scheme 's4'; did you mean 's3'?"),
        ("ftp://host/x", "known are: abfs, abfss, file, gcs, gs, hdfs, s3, viewfs"),
        ("s3://key:word@bucket/x", "holds credentials.*put them into the environment"),
        ("abfs://c@account/x?account_key=k", "holds credentials"),
        ("s3://bucket/x?regoin=eu", "regoin"),
        ("s3://bucket/a b?region=eu", "cannot be used: Cannot parse URI"),
        ("s3://", "names no folder; write s3://BUCKET/FOLDER"),
        ("file:///", "names no folder"),
    ],
)
def test_a_url_that_cannot_be_used_says_why(url: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        filesystem(url)
    assert "word" not in str(refused.value)


def test_join_keeps_the_options_behind() -> None:
    assert join("s3://b/runs/?region=eu", "my run", "x") == "s3://b/runs/my%20run/x?region=eu"
    assert filesystem(join("s3://b/runs?region=eu", "my run"))[1] == "b/runs/my run"
    assert join("file:///a", "b") == "file:///a/b"


def test_a_folder_is_written_listed_read_and_deleted(tmp_path: Path) -> None:
    remote = RemoteFolder.at((tmp_path / "there").as_uri())
    assert remote.sizes() == {} and not remote.exists("a/b.bin") and remote.name == "there"
    (tmp_path / "big").write_bytes(bytes(range(256)) * 70_000)  # more than one piece
    seen: list[int] = []
    remote.upload(tmp_path / "big", "a/b.bin", lambda chunk: seen.append(len(chunk)))
    remote.write_text("note", "text")
    assert remote.sizes() == {"a/b.bin": 256 * 70_000, "note": 4}
    assert remote.sizes("a") == {"a/b.bin": 256 * 70_000}
    assert len(seen) > 1 and sum(seen) == 256 * 70_000
    remote.download("a/b.bin", tmp_path / "here/back")
    assert (tmp_path / "here/back").read_bytes() == (tmp_path / "big").read_bytes()
    assert remote.read_text("note") == "text"
    remote.delete("note")
    remote.delete("note")
    remote.write_text("a/mine", "text")
    remote.delete_below("a", ["b.bin"])
    assert remote.sizes() == {"a/mine": 4}
    remote.delete_below("a", ["mine"])
    remote.delete_below("a", [])
    assert remote.sizes() == {} and not (tmp_path / "there/a").exists()


@pytest.mark.parametrize("name", ["../victim", "a/../../victim", "a//b", "./a", "/etc/victim", "a\\b", "a\0b"])
def test_a_name_in_a_listing_that_leads_out_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    remote = RemoteFolder.at((tmp_path / "bucket").as_uri())
    remote.write_text("good", "text")
    listing = [fs.FileInfo(f"{remote.path}/{found}", fs.FileType.File, size=1) for found in ("good", name)]

    class Listed:
        type_name = "s3"

        def get_file_info(self, selector: object) -> list[fs.FileInfo]:
            return listing

    hostile = dataclasses.replace(remote, filesystem=Listed())
    with pytest.raises(UserError, match=r"is no path inside the folder.*remove that file there"):
        hostile.sizes()
    with pytest.raises(UserError, match="is no path inside the folder"):
        remote.download(name, tmp_path / "here")
    with pytest.raises(UserError, match="is no path inside the folder"):
        remote.delete(name)


def test_a_file_on_a_disk_appears_whole(tmp_path: Path) -> None:
    remote = RemoteFolder.at(tmp_path.as_uri())
    remote.write_text("note", "old")
    with pytest.raises(RuntimeError), remote._writing("note") as sink:
        sink.write(b"half of the ne")
        raise RuntimeError
    assert remote.read_text("note") == "old"


def test_what_is_missing_or_in_the_way_is_said_in_a_sentence(tmp_path: Path) -> None:
    remote = RemoteFolder.at((tmp_path / "there").as_uri())
    with pytest.raises(UserError, match=r"cannot read file:.*/there/x: there is no such file"):
        remote.read_text("x")
    (tmp_path / "there").write_text("a file")
    with pytest.raises(UserError, match=r"cannot write file:.*/there/x: .*directory"):
        remote.write_text("x", "")
    with pytest.raises(UserError, match="cannot write"):
        remote.check_writable()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError("AWS Error ACCESS_DENIED during HeadObject: No response body."), "access was refused.*AWS_PROFILE"),
        (OSError("AWS Error NO_SUCH_BUCKET during ListObjectsV2"), "there is no bucket 'bucket'; make it first"),
        (OSError("AWS Error NETWORK_CONNECTION: no\nand a long tail"), "there/x: AWS Error NETWORK_CONNECTION: no$"),
    ],
)
def test_what_a_storage_says_becomes_a_sentence(error: OSError, message: str) -> None:
    remote = RemoteFolder.at("s3://bucket/there?region=eu-west-1&endpoint_override=127.0.0.1:9")
    where = "s3://bucket/there/x"
    with pytest.raises(UserError, match=message):
        raise UserError(remote._why(error, "read", where))


def test_the_first_error_ends_parallel_work() -> None:
    done: list[int] = []

    def work(item: int) -> None:
        if item == 3:
            raise UserError("three")
        done.append(item)

    with pytest.raises(UserError, match="three"):
        in_parallel(work, range(1000))
    in_parallel(done.append, [7])
    assert {0, 1, 2, 7} <= set(done)
