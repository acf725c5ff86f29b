"""Compressed, encoded and archived texts are read as what they hold, or refused."""

from __future__ import annotations

import bz2
import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.tabular import chunks
from dualgnn_dist.data.prepare.tabular.opening import TextOptions, rows_of
from dualgnn_dist.data.prepare.tabular.plain import encoding_of

TEXT = "user,item\n" + "".join(f"ü{k},{k * k}\n" for k in range(40))
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": lambda content: bytes(pa.compress(content, "zstd", asbytes=True)),
    "bz2": bz2.compress,
}


def rows(path: Path, **options: object) -> list[tuple[object, ...]]:
    table = rows_of(path, TextOptions(**options))  # type: ignore[arg-type]
    return [row for block, _ in table.blocks({name: name for name in table.columns}, 7) for row in block.rows()]


@pytest.fixture
def plain(tmp_path: Path) -> list[tuple[object, ...]]:
    (tmp_path / "plain.csv").write_text(TEXT)
    return rows(tmp_path / "plain.csv")


@pytest.mark.parametrize("ending", COMPRESS)
def test_compressed_texts_are_read_whole_or_refused(
    tmp_path: Path, plain: list[tuple[object, ...]], ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 64)  # so that records cross the borders of pieces
    path = tmp_path / f"log.csv.{ending}"
    half = len("".join(TEXT.splitlines(keepends=True)[:20]).encode())
    whole, parts = TEXT.encode(), [TEXT.encode()[:half], TEXT.encode()[half:]]
    for content in (COMPRESS[ending](whole), b"".join(COMPRESS[ending](part) for part in parts)):
        path.write_bytes(content)
        assert rows(path) == plain
    content = COMPRESS[ending](whole)
    for size in range(4, len(content)):  # of fewer bytes nobody knows that they were compressed
        path.write_bytes(content[:size])
        with pytest.raises(UserError, match=r"log\.csv"):
            rows(path)


def test_what_a_file_is_goes_by_its_bytes(tmp_path: Path, plain: list[tuple[object, ...]]) -> None:
    (tmp_path / "a.csv").write_bytes(gzip.compress(TEXT.encode()))
    (tmp_path / "b.CSV.GZ").write_bytes(TEXT.encode())
    assert rows(tmp_path / "a.csv") == rows(tmp_path / "b.CSV.GZ") == plain
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress(gzip.compress(TEXT.encode())))
    with pytest.raises(UserError, match="is compressed twice"):
        rows(tmp_path / "c.csv.gz")


def test_a_member_of_an_archive(tmp_path: Path, plain: list[tuple[object, ...]]) -> None:
    archive = tmp_path / "logs.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("top/log.csv", TEXT)
    assert rows(archive / "top" / "log.csv") == plain
    with pytest.raises(UserError, match=r"log\.tsv cannot be read.*no item named"):
        rows(archive / "top" / "log.tsv")
    content = bytearray(archive.read_bytes())
    content[60] ^= 1
    archive.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read"):
        rows(archive / "top" / "log.csv")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-8-sig", "UTF8", "utf-32"])
@pytest.mark.parametrize("size", [24, 1 << 20])
def test_encodings(
    tmp_path: Path,
    plain: list[tuple[object, ...]],
    encoding: str,
    size: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dualgnn_dist.data.prepare.tabular.plain.PIECE_BYTES", size)
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(TEXT.encode(encoding)))
    assert rows(tmp_path / "log.csv.gz", encoding=encoding) == plain


def test_the_wrong_encoding_is_refused_with_the_option(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(TEXT.encode("latin-1"))
    with pytest.raises(UserError, match=r"line 2: .* is not UTF-8; set prepare\.options\.encoding .*latin-1"):
        rows(tmp_path / "log.csv")
    with pytest.raises(UserError, match=r"log\.csv.*this is not ascii; set prepare\.options\.encoding"):
        rows(tmp_path / "log.csv", encoding="ascii")
    (tmp_path / "log.csv").write_bytes(TEXT.encode("utf-16"))
    with pytest.raises(UserError, match=r"is written in UTF-16; set prepare\.options\.encoding=utf-16"):
        rows(tmp_path / "log.csv")


@pytest.mark.parametrize("name", ["latn-1", "base64", "rot13", "", "a\0b"])
def test_what_is_no_encoding_of_text_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no encoding"):
        encoding_of(name)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("user;item;time", "its header is one column, 'user;item;time': set \"prepare.options.separator=';'\""),
        ("user\titem", r"set \"prepare.options.separator='\t'\"".replace(r"\"", '"')),
        ("17,4711,3.5", "its first line looks like data: name the columns as prepare.options.columns="),
        ("Benützer,item".encode().decode("latin-1"), "looks like another encoding: set prepare.options.encoding"),
        ("users,item", "has no column 'user'; did you mean 'users'?"),
    ],
)
def test_a_header_that_looks_wrong_says_what_mends_it(tmp_path: Path, header: str, message: str) -> None:
    from dualgnn_dist.data.prepare.reading import require_columns

    (tmp_path / "log.csv").write_text(header + "\n")
    table = rows_of(tmp_path / "log.csv", TextOptions())
    with pytest.raises(UserError) as error:
        require_columns(table.path, table.columns, ["user"])
    assert message in str(error.value)
