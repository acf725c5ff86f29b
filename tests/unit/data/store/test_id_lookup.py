"""Ids looked up in Arrow columns, held against a Python list of their texts."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.data.store import id_lookup
from dualgnn_dist.data.store.reader import Store

INT64 = st.integers(-(2**63), 2**63 - 1) | st.integers(-20, 20)
TEXTS = st.text(alphabet="abu01", max_size=4)
LOOKED_UP = TEXTS | INT64.map(str) | st.sampled_from(["", "007", "+1", " 1", "1_0", "٣", "-0", str(2**63), "x39", "-"])


def column(values: list[int] | list[str], kind: pa.DataType) -> pa.ChunkedArray:
    """Shards of three, the last one short."""
    chunks = [pa.array(values[start : start + 3], kind) for start in range(0, len(values), 3)]
    return pa.chunked_array(chunks, kind)


@settings(deadline=None)
@given(st.lists(INT64, max_size=8, unique=True) | st.lists(TEXTS, max_size=8, unique=True), LOOKED_UP)
def test_an_id_is_found_as_in_a_list_of_all_texts(values: list[int] | list[str], text: str) -> None:
    texts = [str(value) for value in values]
    kind = pa.int64() if values and isinstance(values[0], int) else pa.string()
    for sought in (text, *texts):
        expected = texts.index(sought) if sought in texts else None
        assert id_lookup.find(column(values, kind), sought) == expected
    asked = [text, *reversed(texts), text]
    rows = [texts.index(sought) if sought in texts else -1 for sought in asked]
    assert id_lookup.find_all(column(values, kind), asked).tolist() == rows


@settings(deadline=None)
@given(st.lists(INT64, min_size=1, max_size=8), st.integers(-(2**65), 2**65))
def test_of_numbers_the_nearest_is_that_by_value(values: list[int], number: int) -> None:
    nearest = int(id_lookup.nearest(column(values, pa.int64()), str(number)) or "")
    assert nearest in values and abs(nearest - number) == min(abs(value - number) for value in values)


@settings(deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=8), TEXTS)
def test_of_texts_the_nearest_is_one_of_them(values: list[str], text: str) -> None:
    assert id_lookup.nearest(column(values, pa.string()), text) in values


@pytest.mark.parametrize(
    ("values", "text", "nearest"),
    [
        (["u1", "u17", "v18"], "U17", "u17"),  # they share an end alone
        (["anna", "bert", "clara"], "annb", "anna"),
        (["a" * 9 + str(n) for n in range(2000)], "a" * 9 + "1999x", "a" * 9 + "1999"),
        ([*range(400)], "400", "399"),
        ([*range(400)], "x39", "39"),
        ([5, 7, 6], "user", "5"),
    ],
)
def test_the_nearest_id(values: list[int] | list[str], text: str, nearest: str) -> None:
    kind = pa.int64() if isinstance(values[0], int) else pa.string()
    assert id_lookup.nearest(column(values, kind), text) == nearest


@pytest.mark.parametrize("text", ["\udcff", "1" * 5000])
def test_what_no_id_can_be_is_not_found(text: str) -> None:
    for ids in (column(["a", "b"], pa.string()), column([3, 4], pa.int64())):
        assert id_lookup.find(ids, text) is None and id_lookup.nearest(ids, text)


def test_no_ids_have_no_nearest() -> None:
    assert id_lookup.nearest(column([], pa.int64()), "1") is None
    assert id_lookup.nearest(column([], pa.string()), "1") is None


def test_few_ids_become_python_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def compare(text: str, similar: list[str], **_: object) -> list[str]:
        compared.extend(similar)
        return similar[:1]

    monkeypatch.setattr(id_lookup.difflib, "get_close_matches", compare)
    id_lookup.nearest(column([f"user{n}" for n in range(5000)], pa.string()), "User")
    assert 500 <= len(compared) <= 1000


def test_a_store_finds_its_ids(demo_store: Store) -> None:
    for kind in ("users", "items"):
        texts = [str(value) for value in demo_store.ids(kind).to_pylist()]  # type: ignore[arg-type]
        assert [demo_store.find_id(kind, text) for text in texts] == [*range(len(texts))]  # type: ignore[arg-type]
        assert demo_store.find_id(kind, "nobody") is None  # type: ignore[arg-type]
        assert demo_store.nearest_id(kind, "nobody") in texts  # type: ignore[arg-type]
