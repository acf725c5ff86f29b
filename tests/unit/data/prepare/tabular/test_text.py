"""Every line of a text file is a record, blank, or refused by its number; held against Python's own csv."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.tabular import chunks
from dualgnn_dist.data.prepare.tabular.text import QUOTES, TextTable


def read(path: Path, content: bytes, separator: str = ",", num_rows: int = 2, **table: Any) -> list[tuple[Any, ...]]:
    """(Place, values) of every record."""
    path.write_bytes(content)
    text = TextTable(path, separator, **table)
    names = {f"column {k}": name for k, name in enumerate(text.columns)}
    return [
        (place(k).rpartition(" ")[2], *row)
        for block, place in text.blocks(names, num_rows)
        for k, row in enumerate(block.rows())
    ]


@pytest.fixture(params=[1 << 26, *range(20, 28)])
def file(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A path; files are read at once, or in pieces of so few bytes that everything crosses a border."""
    monkeypatch.setattr(chunks, "CHUNK_BYTES", request.param)
    return tmp_path / "file.csv"


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,2\n3,4\n",
        b"a,b\r\n1,2\r\n3,4",
        b"\xef\xbb\xbfa,b\n1,2\n3,4\n",
        b"\n  \na,b\n\n1,2\n \t\r\n3,4\n\n",
        b" a , b\n1,2\n3,4\n",
        b'"a",b\n"1",2\n3,"4"\n',
        b'a,b\n"1","2"\r\n3,4\r\n',
    ],
)
def test_blank_lines_marks_and_returns_are_no_data(file: Path, content: bytes) -> None:
    assert [row[1:] for row in read(file, content, quotes="one_line")] == [("1", "2"), ("3", "4")]


def test_places_are_the_lines_of_the_file(file: Path) -> None:
    content = b'a,b\n\n1,2\n3,"x\n\ny"\n\n5,6\n'
    assert read(file, content, quotes="many_lines") == [("3", "1", "2"), ("4", "3", "x\n\ny"), ("8", "5", "6")]


def test_quotation_marks_within_a_value_are_text(file: Path) -> None:
    content = b'a,b\n1,7" single\n2,"say ""hi"", you"\n3,\n4,""\n'
    values = ['7" single', 'say "hi", you', None, ""]
    assert [row[2] for row in read(file, content, quotes="one_line")] == values
    assert read(file, b'a\tb\n"1\t"x"\n', "\t") == [("2", '"1', '"x"')]


@pytest.mark.parametrize(
    ("content", "quotes", "message"),
    [
        (b"a,b\n1,2\n3,Hello, World\n", "one_line", r"line 3: there are 3 values with ',' between them, but 2 columns"),
        (b"a,b\n1,2\n3\n", "none", r"line 3: there are 1 values with ',' between them, but 2 columns$"),
        (b'a,b\n\n1,"open\n2,3\n', "one_line", "line 3: a value begins with a quotation mark and does not end with"),
        (b'a,b\n1,"open\n2,3\n', "many_lines", "line 2: a value begins with a quotation mark"),
        (b'a,b\n1,"Heroes" live\n', "one_line", "line 2: something stands behind the quotation mark that ends"),
        (b"a,b\n1,2\n3,\x00\n", "none", "line 3: there is a NUL byte"),
        (b'a,b\n1,2\n3,"\x00"\n', "one_line", "line 3: there is a NUL byte"),
        (b"a,b\n1,2\n3,Caf\xe9\n", "one_line", r"line 3: b'Caf\\xe9' is not UTF-8; save the file in that encoding"),
        (b"a,b\n1,\xc3\n2,\xa9\n", "none", r"line 2: b'\\xc3' is not UTF-8"),  # together they would be
        (
            "a,b\n1,2\n".encode("utf-16"),
            "none",
            "is written in UTF-16; set prepare.options.encoding=utf-16, or save it as UTF-8",
        ),
        (gzip.compress(gzip.compress(b"a,b\n1,2\n")), "none", "is compressed twice; unpack it once"),
        (b"a,a\n1,2\n", "none", "line 1: several columns are called 'a'; give each its own name"),
        (b"", "none", "cannot be read: it is empty; its first line must name the columns"),
        (b"\n\n", "none", "cannot be read: it is empty"),
        (b"a,b\r1,2\r", "none", "lines end with a carriage return alone"),
    ],
)
def test_refusals(file: Path, content: bytes, quotes: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(file, content, quotes=quotes)


def test_a_record_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 16)
    with pytest.raises(UserError, match="line 2: a record of more than 16 bytes"):
        read(tmp_path / "long", b"a,b\n" + b"x" * 40)


WORDS = st.text(alphabet='ab,"\n\r \t\u00e9', max_size=4)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(WORDS, WORDS, st.sampled_from(["x", "y"])), max_size=6),
    ending=st.sampled_from(["\n", "\r\n"]),
)
@example(rows=[("a\n", '"', "x")], ending="\r\n")
def test_what_a_csv_writer_writes_is_read_as_it_was(
    rows: list[tuple[str, str, str]], ending: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=ending, quoting=csv.QUOTE_MINIMAL).writerows([("a", "b", "c"), *rows])
    path = tmp_path_factory.getbasetemp() / "written.csv"
    values = [row[1:] for row in read(path, text.getvalue().encode(), quotes="many_lines")]
    assert values == [tuple(word or None for word in row) for row in rows]


@settings(max_examples=200, deadline=None)
@given(content=st.text(alphabet='1,"\n\r ', max_size=30).map(str.encode), quotes=st.sampled_from(sorted(QUOTES)))
def test_no_line_is_lost(content: bytes, quotes: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A record a line that is not blank, whatever stands in it, or a refusal."""
    try:
        rows = read(tmp_path_factory.getbasetemp() / "lines.csv", b"a,b\n" + content, quotes=quotes)
    except UserError as error:
        assert "line " in str(error)
        return
    breaks = sum((value or "").count("\n") for row in rows for value in row[1:])
    blank = {b"", b"\r"}
    lines = [line for line in content.split(b"\n") if line.replace(b" ", b"") not in blank]
    if quotes == "many_lines":
        assert len(rows) <= len(lines) <= len(rows) + breaks
    else:
        assert len(rows) == len(lines) and breaks == 0
