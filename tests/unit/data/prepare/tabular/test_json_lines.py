"""Every line of a file of JSON lines is an object, blank, or refused by its number; held against Python's own json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.tabular import chunks
from dualgnn_dist.data.prepare.tabular.json_lines import JsonLinesTable

LINES = [
    '{"user":{"id":"\\u00fc1","age":3},"item":12345678901234567890,"tags":["a","b"],"vector":[0.1,3]}',
    "",
    '{"item":-3,"user":null,"late.key":1}\r',
    "  ",
    '{"user":{"id":7}}',
]


@pytest.fixture(params=[1 << 26, 120, 131])
def file(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", request.param)
    return tmp_path / "events.jsonl"


def read(path: Path, **names: str) -> list[tuple[Any, ...]]:
    """(Line, values) of every object."""
    return [
        (int(place(k).rpartition(" ")[2]), *row)
        for block, place in JsonLinesTable(path).blocks(names, 2)
        for k, row in enumerate(block.rows())
    ]


def test_values_are_texts_with_all_their_digits(file: Path) -> None:
    file.write_text("\n".join(LINES))
    names = ("user", "user.id", "user.age", "item", "tags", "vector", "late.key")
    assert JsonLinesTable(file).columns == names
    assert read(file, who="user.id", what="item", late="late.key", tags="tags", vector="vector") == [
        (1, "ü1", "12345678901234567890", None, '["a", "b"]', "[0.1, 3]"),
        (3, None, "-3", "1", None, None),
        (5, "7", None, None, None, None),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"user":{"id":1}', r"line 4: .* is no JSON object: Expecting ',' delimiter"),
        ("[1]", "line 4: .* is no JSON object$"),
        ("5", "line 4: .* is no JSON object$"),
        ("null", "line 4: .* is no JSON object$"),
        ('{"user":{"id":1}} x', "line 4: .* is no JSON object: Extra data"),
        ('{"user":{"id":NaN}}', "line 4: .* is no JSON object: NaN is no JSON"),
        ("{'user': {'id': 1}}", "line 4: .* is no JSON object: Expecting property name"),
        ('{"user":5}', "line 4: 'user' is no object"),
        ('{"user":{"id":"\\udfff"}}', "line 4: "),
    ],
)
def test_what_is_no_object_is_refused_by_its_line(file: Path, line: str, message: str) -> None:
    file.write_text("\n".join([*LINES[:3], line, LINES[4]]))
    with pytest.raises(UserError, match=message):
        read(file, who="user.id")


def test_a_file_that_holds_no_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    for content, message in (
        (b"", "it is empty|holds no JSON object"),
        (b'[{"user": 1},\n {"user": 2}]', r"line 1: this is one JSON array; .*jq -c"),
        (b'[{"user": 1}]', "line 1: this is one JSON array"),
        ('{"user": "ü"}'.encode("latin-1"), r"line 1: .* is not UTF-8; set prepare\.options\.encoding"),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match=message):
            _ = JsonLinesTable(path).columns
    path.write_bytes('{"user": "ü"}'.encode("latin-1"))
    assert JsonLinesTable(path, "latin-1").columns == ("user",)


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-(1 << 63), (1 << 64) - 1), st.text(max_size=4))


@settings(max_examples=100, deadline=None)
@given(records=st.lists(st.dictionaries(st.sampled_from(["a", "b", "c.d"]), VALUES), min_size=1, max_size=8))
def test_objects_are_read_as_json_reads_them(
    records: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "made.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records))
    table = [record.get(name) for name in ("a", "b", "c.d") for record in records]
    names = {name: name for record in records for name in record}
    if not names:
        return
    values = [row[1 + k] for k, name in enumerate(names) for row in read(path, **names)]

    def text(value: Any) -> str | None:
        return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    assert values == [text(record.get(name)) for name in names for record in records], table


@pytest.mark.parametrize("names", [{"a": "user", "b": "user.id"}, {"a": "user.id", "b": "user"}])
def test_an_object_and_what_is_within_it_are_not_read_together(names: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"user": {"id": 1}}\n')
    with pytest.raises(
        UserError, match=r"a\.jsonl: 'user' holds 'user\.id', and both are read; name what is within it"
    ):
        next(JsonLinesTable(tmp_path / "a.jsonl").blocks(names, 10))
