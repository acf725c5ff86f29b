"""Which rows are interactions, and what they weigh: beside the same in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.readers.expression import Expression, parsed
from dualgnn_dist.data.prepare.tabular.opening import TextOptions, rows_of

ROWS = [("like", 3, 0.5, True), ("view", 40, 1.0, False), (None, 7, 2.5, True), ("buy", 12, None, False)]
COLUMNS = ["event", "seconds", "share", "is_new"]
TYPES = [pl.String, pl.Int64, pl.Float64, pl.Boolean]
CASES: dict[str, list[bool | None]] = {
    "event = 'like'": [True, False, None, False],
    "event == 'like'": [True, False, None, False],
    "event in ('like', 'buy')": [True, False, None, True],
    "event is null or event <> 'view'": [True, False, True, True],
    "seconds > 5 and share >= 1": [False, True, True, None],
    "seconds between 7 and 12": [False, False, True, True],
    "seconds % 2 = 0 and seconds / 2 > 6": [False, True, False, False],
    "is_new": [True, False, True, False],
    "not is_new": [False, True, False, True],
    "upper(event) like 'L%'": [True, False, None, False],
    "coalesce(share, 9) > 2": [False, False, True, True],
    "length(event) = 4": [True, True, None, False],
    "seconds = '12'": [False, False, False, True],
}


@pytest.fixture(params=["csv", "jsonl", "parquet"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    frame = pl.DataFrame(ROWS, schema=list(zip(COLUMNS, TYPES, strict=True)), orient="row")
    path = tmp_path / f"log.{request.param}"
    {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "parquet": frame.write_parquet}[request.param](path)
    return path


def values(path: Path, text: str, dtype: Any = pl.Boolean, num_rows: int = 3) -> list[Any]:
    rows = rows_of(path, TextOptions())
    expression = Expression.of(rows, "where", text, dtype)
    blocks = rows.blocks({name: name for name in expression.names}, num_rows)
    return [value for block, place in blocks for value in expression.values(block, place).to_list()]


@pytest.mark.parametrize("text", CASES)
def test_a_row_is_chosen_by_its_values_whatever_the_file(path: Path, text: str) -> None:
    if text == "seconds = '12'" and path.suffix == ".parquet":
        with pytest.raises(UserError, match=r"where=.* cannot be computed \(seconds holds Int64\)"):
            values(path, text)
        return
    assert values(path, text) == CASES[text]
    assert values(path, text, num_rows=1) == CASES[text]


def test_weights(path: Path) -> None:
    assert values(path, "case event when 'buy' then 3 when 'like' then 1.5 else 0 end", pl.Float64) == [1.5, 0, 0, 3]
    assert values(path, "seconds / 10.0", pl.Float64) == [0.3, 4.0, 0.7, 1.2]


@pytest.mark.parametrize(
    "text",
    [
        *("count(*) > 1", "max(seconds) = seconds", "row_number() over () < 5", "seconds > (select 1)"),
        *("sum(seconds) > 1", "first(event) = 'like'", "unnest(l) = 1", "seconds > avg(seconds)"),
    ],
)
def test_rows_are_decided_one_by_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"where=.*(is not allowed: a row must be decided by|is no expression)"):
        parsed(text, "where")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("event = ", "is no expression over columns, as `event = 'like'`"),
        ("read_csv('/etc/passwd') = 1", "is no expression"),
        ("1 = 1", "names no column"),
        ("user.id = 'x'", "write a name with a dot between double quotes"),
    ],
)
def test_what_is_no_expression(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parsed(text, "where")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("evnt = 'like'", "has no column 'evnt'; did you mean 'event'"),
        ('event = "like"', "has no column 'like'; a text stands between single quotes, as 'like'"),
        ("seconds + 1", "must give true or false, it gives"),
        ("event", "must give true or false, it gives String"),
        ("event > 3", "cannot be computed"),
    ],
)
def test_what_does_not_fit_the_file(path: Path, text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        values(path, text)


def test_moments_of_a_zone_are_compared_in_utc(tmp_path: Path) -> None:
    import datetime as dt

    moments = pl.Series([dt.datetime(2024, 5, 1, 8), dt.datetime(2024, 5, 1, 10)]).dt.replace_time_zone("Asia/Tokyo")
    pl.DataFrame({"at": moments}).write_parquet(tmp_path / "log.parquet")
    assert values(tmp_path / "log.parquet", "at >= timestamp '2024-05-01 00:00:00'") == [False, True]
    with pytest.raises(UserError, match="write timestamp '2024-03-01 12:00:00'"):
        values(tmp_path / "log.parquet", "at >= '2024-05-01'")


def test_a_text_among_numbers_is_refused_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dualgnn_dist.data.prepare.formats.readers.expression.SAMPLE", 2)
    (tmp_path / "log.csv").write_text("seconds\n1\n2\n3.5\nsoon\n")
    with pytest.raises(UserError, match=r"log\.csv, line 5: where reads seconds as Int64, .* here stands 'soon'"):
        values(tmp_path / "log.csv", "seconds > 1")
