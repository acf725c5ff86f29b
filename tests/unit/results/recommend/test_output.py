"""Lists as files: what is read back is what was ranked, and nothing is left of what was broken off."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.results.raw_ids import ids_in, rows_of
from dualgnn_dist.results.recommend.lists import Lists, Request
from dualgnn_dist.results.recommend.opened_run import OpenedRun
from dualgnn_dist.results.recommend.output import check_output, write_lists


@pytest.fixture
def opened(make_run: Callable[..., Path]) -> OpenedRun:
    return OpenedRun.read(str(make_run("a")))


def expected_rows(opened: OpenedRun, users: np.ndarray, lists: Lists) -> list[tuple[object, int, object, float]]:
    names, items = opened.store.ids("users").to_pylist(), opened.store.ids("items").to_pylist()
    return [
        (names[user], rank, items[item], score)
        for user, ranked, scores in zip(users, lists.items.tolist(), lists.scores.tolist(), strict=True)
        for rank, (item, score) in enumerate(zip(ranked, scores, strict=True), start=1)
        if item >= 0
    ]


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_a_file_holds_the_lists(opened: OpenedRun, tmp_path: Path, ending: str) -> None:
    users = np.array([9, 2, 4, 2])
    request = Request(8, candidates=np.arange(10))  # fewer are left for some
    lists = opened.rank(users, request)
    path = tmp_path / "new" / f"lists.{ending}"
    blocks = [
        (users[:3], Lists(lists.items[:3], lists.scores[:3])),
        (users[3:], Lists(lists.items[3:], lists.scores[3:])),
    ]
    write_lists(path, opened.store, blocks, 4, lambda line: None)
    expected = expected_rows(opened, users, lists)
    if ending == "parquet":
        table = pq.read_table(path)
        assert table.column_names == ["user", "rank", "item", "score"]
        assert list(zip(*(table[name].to_pylist() for name in table.column_names), strict=True)) == expected
    else:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert len(lines) == 4
        rows = [
            (line["user"], rank, item, score)
            for line in lines
            for rank, (item, score) in enumerate(zip(line["items"], line["scores"], strict=True), start=1)
        ]
        assert rows == expected
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_user_for_whom_nothing_is_left_has_an_empty_list(opened: OpenedRun, tmp_path: Path) -> None:
    nothing = Lists(np.full((2, 3), -1, dtype=np.int32), np.full((2, 3), -np.inf))
    write_lists(tmp_path / "a.jsonl", opened.store, [(np.array([0, 1]), nothing)], 2, lambda line: None)
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [(line["items"], line["scores"]) for line in lines] == [([], []), ([], [])]
    write_lists(tmp_path / "a.parquet", opened.store, [(np.array([0, 1]), nothing)], 2, lambda line: None)
    assert pq.read_table(tmp_path / "a.parquet").num_rows == 0


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_what_breaks_off_leaves_nothing(opened: OpenedRun, tmp_path: Path, ending: str) -> None:
    def broken() -> Iterator[tuple[np.ndarray, Lists]]:
        yield np.array([0]), opened.rank(np.array([0]), Request(3))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_lists(tmp_path / "out" / f"lists.{ending}", opened.store, broken(), 2, lambda line: None)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_there_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "lists.parquet"
    path.write_text("mine")
    with pytest.raises(UserError, match="is there already; remove it, or choose another name"):
        check_output(path)
    with pytest.raises(UserError, match=r"must end in \.parquet or \.jsonl"):
        check_output(tmp_path / "lists.csv")


def test_ids_of_a_file_are_its_lines(opened: OpenedRun, tmp_path: Path) -> None:
    names = [str(name) for name in opened.store.ids("users").to_pylist()]
    path = tmp_path / "users.txt"
    path.write_text(f"\ufeff{names[4]}\r\n\n{names[1]}\n", encoding="utf-8", newline="")
    assert rows_of(opened.store, "users", ids_in(path), str(path)).tolist() == [4, 1]
    with pytest.raises(UserError, match=r"users\.txt: .* has no user 'nobody', nor 1 others of 3; did you mean"):
        rows_of(opened.store, "users", ["nobody", names[0], "no-one"], "users.txt")


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\n \n", "holds no id"), (b"\xff\xfe1\x00", "is no UTF-8 text"), (None, "cannot be read")],
)
def test_a_file_without_ids_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "users.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=said):
        ids_in(path)
