"""What a column of times is taken for, and that it is one thing only."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.readers.clock import UNITS, Clock
from dualgnn_dist.data.prepare.reading import numbered

SECOND = 1_714_557_600  # 2024-05-01T10:00:00Z
PLACE = numbered(Path("log.csv"), "row")


def read(*columns: pl.Series) -> tuple[list[Any], list[str]]:
    clock, values = Clock("time"), []
    for column in columns:
        values += clock.read(column, PLACE)[0].to_list()
    clock.check()
    return values, list(clock.words())


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("dtype", [pl.Int64, pl.Float64, pl.String])
def test_the_unit_of_numbers_is_told_by_their_size(unit: str, dtype: Any) -> None:
    numbers = [SECOND * UNITS[unit], (SECOND + 86_400) * UNITS[unit]]
    values, words = read(pl.Series(numbers).cast(dtype))
    assert values == numbers
    assert words == [f"time holds {unit} since 1970, from 2024-05-01 to 2024-05-02"]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "Asia/Tokyo"])
def test_datetime_columns_keep_their_unit(unit: Any, zone: str | None) -> None:
    moments = pl.Series([dt.datetime(2024, 5, 1, 10)]).cast(pl.Datetime(unit)).dt.replace_time_zone(zone)
    factor = {"ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    shift = 0 if zone is None else 9 * 3600
    assert read(moments)[0] == [(SECOND - shift) * factor]


def test_dates_and_texts_are_microseconds() -> None:
    assert read(pl.Series([dt.date(1970, 1, 2)]))[0] == [86_400 * 10**6]
    values, words = read(pl.Series(["2024-05-01T10:00:00+02:00", None, "2024-05-02"]))
    assert values == [(SECOND - 7200) * 10**6, None, (SECOND - 36_000 + 86_400) * 10**6]
    assert words == [
        "time holds texts, kept as microseconds since 1970, from 2024-05-01 to 2024-05-02",
        "times without a zone are taken as UTC",
    ]


def test_numbers_that_are_no_times_are_an_order() -> None:
    assert read(pl.Series([3, 1, 2])) == ([3, 1, 2], ["time holds numbers from 1 to 3, taken for an order alone"])
    values, words = read(pl.Series([0, SECOND, SECOND * 1000]))  # a 0 where nothing was known, and worse
    assert values[0] == 0 and words[0].endswith("taken for an order alone")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ([pl.Series([SECOND]), pl.Series([SECOND * 1000])], "mix seconds .*row 0.* and milliseconds"),
        ([pl.Series([SECOND, SECOND * 10**6])], r"mix seconds .*row 0.* and microseconds \(log.csv, row 1\)"),
        (
            [pl.Series([str(SECOND), "2024-05-01"])],
            r"mix seconds .* and microseconds in texts \(log.csv, row 1\)",
        ),
        ([pl.Series(["7", "2024-05-01"])], "mix numbers .* and microseconds in texts"),
    ],
)
def test_mixtures_are_refused(columns: list[pl.Series], words: str) -> None:
    with pytest.raises(UserError, match=words):
        read(*columns)
