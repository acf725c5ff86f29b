"""Moments in texts, beside Python's `datetime`."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.data.prepare.formats.readers.iso import moments_of_iso

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MOMENTS = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2199, 12, 31))
ZONES = st.sampled_from(["", "Z", "z", " UTC", "+00:00", "+02:00", "-0530", "+14", "-11:45"])
SHAPES = st.sampled_from(["seconds", "milliseconds", "microseconds", "minutes", "date"])


def text_of(moment: dt.datetime, shape: str, zone: str, separator: str) -> str:
    if shape == "date":
        return moment.strftime("%Y-%m-%d")
    return moment.isoformat(sep=separator, timespec=shape) + zone


def twin(text: str) -> int:
    """Microseconds since 1970 by the standard library."""
    for long, short in ((" UTC", "+00:00"), ("Z", "+00:00"), ("z", "+00:00")):
        text = text.removesuffix(long) + short if text.endswith(long) else text
    moment = dt.datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return (moment - EPOCH) // dt.timedelta(microseconds=1)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(MOMENTS, SHAPES, ZONES, st.sampled_from("T ")), min_size=1, max_size=8))
def test_every_way_to_write_a_moment(rows: list[tuple[dt.datetime, str, str, str]]) -> None:
    texts = [text_of(*row) for row in rows]
    whole, beyond, has_no_zone = moments_of_iso(pl.Series(texts, dtype=pl.String))
    assert whole.to_list() == [twin(text) for text in texts]
    assert beyond is None
    assert has_no_zone == any(text[-1].isdigit() and not any(mark in text[10:] for mark in "+-") for text in texts)


@settings(max_examples=30, deadline=None)
@given(st.lists(MOMENTS, min_size=1, max_size=8), st.sampled_from(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S"]))
def test_a_column_of_one_shape(moments: list[dt.datetime], pattern: str) -> None:
    texts = [moment.strftime(pattern) for moment in moments]
    whole, _, has_no_zone = moments_of_iso(pl.Series([*texts, None]))
    assert whole.to_list() == [*map(twin, texts), None]
    assert has_no_zone == ("Z" not in pattern)


def test_digits_beyond_microseconds_are_kept() -> None:
    whole, beyond, _ = moments_of_iso(pl.Series(["2024-05-01T10:00:00.1234567Z", "2024-05-01T10:00:00.1234561Z"]))
    assert whole.n_unique() == 1 and beyond is not None
    assert beyond.to_list() == pytest.approx([0.7, 0.1])


@pytest.mark.parametrize(
    "text",
    [
        *("2024-13-01", "2024-02-30", "2024-05-01T25:00:00", "2024-05-01T10:61:00", "2024-05-01T24:01:00"),
        *("2024-05-01T10:00:00+25:00", "2024-05-01X", "2024-5-1", "01.05.2024", "2024-05-01T10", "", "2024"),
    ],
)
def test_what_is_no_moment_is_null(text: str) -> None:
    for texts in ([text], [text, "2024-05-01T10:00:00Z"], ["2024-05-01", text]):
        whole, _, _ = moments_of_iso(pl.Series(texts))
        assert whole[texts.index(text)] is None and whole.null_count() == 1


def test_midnight_at_the_end_of_a_day_and_leap_seconds() -> None:
    whole, _, _ = moments_of_iso(pl.Series(["2024-05-01T24:00:00Z", "2024-05-02T00:00:00Z", "2016-12-31T23:59:60Z"]))
    assert whole[0] == whole[1] and whole[2] == twin("2017-01-01T00:00:00Z")
