"""Lists of an opened run, held against every score in float64 and a stable sort."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.results.recommend import opened_run
from dualgnn_dist.results.recommend.lists import Request
from dualgnn_dist.results.recommend.opened_run import OpenedRun


@pytest.fixture
def opened(make_run: Callable[..., Path]) -> OpenedRun:
    return OpenedRun.read(str(make_run("a", workers=2)))


def items_of(store: Store, user: int) -> set[int]:
    """All items of a user, of every split, from the columns of the store."""
    items: set[int] = set()
    for split in ("train", "valid", "test"):
        columns = store.interactions(split)
        items |= set(columns.items.to_numpy()[columns.users.to_numpy() == user].tolist())
    return items


def best(scores: np.ndarray, allowed: set[int], k: int) -> list[int]:
    return sorted(allowed, key=lambda item: (-scores[item], item))[:k]


@pytest.mark.parametrize("include_seen", [False, True])
@pytest.mark.parametrize("with_candidates", [False, True])
def test_lists_are_those_of_brute_force(opened: OpenedRun, include_seen: bool, with_candidates: bool) -> None:
    num_items = len(opened.learned.items)
    candidates = np.array([7, 3, 7, 11, 40, 2, 19]) if with_candidates else None
    users = np.array([5, 0, 5, 17, 3])
    lists = opened.rank(users, Request(6, include_seen, candidates))
    scores = opened.learned.users.astype(np.float64) @ opened.learned.items.astype(np.float64).T
    for place, user in enumerate(users):
        allowed = set(range(num_items)) if candidates is None else set(candidates.tolist())
        if not include_seen:
            allowed -= items_of(opened.store, int(user))
        expected = best(scores[user], allowed, 6)
        assert lists.items[place].tolist() == expected + [-1] * (6 - len(expected))
        assert lists.scores[place, : len(expected)] == pytest.approx(scores[user][expected], rel=1e-12)


def test_a_users_held_out_items_count_as_seen(opened: OpenedRun) -> None:
    user = int(opened.store.interactions("test").users.to_numpy()[0])
    everything = opened.rank(np.array([user]), Request(len(opened.learned.items)))
    assert not set(everything.items[0].tolist()) & items_of(opened.store, user)
    assert len(items_of(opened.store, user)) + (everything.items[0] >= 0).sum() == len(opened.learned.items)


def test_blocks_are_the_lists_at_once(opened: OpenedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    users = np.random.default_rng(1).permutation(len(opened.learned.users))
    whole = opened.rank(users, Request(5))
    monkeypatch.setattr(opened_run, "BLOCK", 7)
    blocks = list(opened.in_blocks(users, Request(5)))
    assert len(blocks) == -(-len(users) // 7)
    assert np.array_equal(np.concatenate([rows for rows, _ in blocks]), users)
    assert np.array_equal(np.concatenate([lists.items for _, lists in blocks]), whole.items)
    assert np.array_equal(np.concatenate([lists.scores for _, lists in blocks]), whole.scores)


def test_similar_items_are_nearest_by_cosine(opened: OpenedRun) -> None:
    vectors = opened.learned.items.astype(np.float64)
    directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    items = np.array([4, 30, 0])
    lists = opened.nearest(items, Request(5))
    for place, item in enumerate(items):
        cosines = directions @ directions[item]
        expected = best(cosines, set(range(len(vectors))) - {int(item)}, 5)
        assert lists.items[place].tolist() == expected
        assert lists.scores[place] == pytest.approx(cosines[expected], abs=1e-6)


def test_an_item_of_length_zero_resembles_nothing(opened: OpenedRun) -> None:
    opened.learned.items[3] = 0
    assert opened.nearest(np.array([3]), Request(2)).scores.tolist() == [[0.0, 0.0]]


def test_a_list_has_at_least_one_item() -> None:
    with pytest.raises(UserError, match="k=0: a list has at least one item"):
        Request(0)


class TestItemsWithoutInteractions:
    """A model of ids is judged by warm items: it lists no other."""

    @pytest.fixture
    def warm(self, opened: OpenedRun, monkeypatch: pytest.MonkeyPatch) -> OpenedRun:
        monkeypatch.setattr(opened_run, "candidate_items", lambda store, kind: np.arange(0, len(store.ids("items")), 2))
        return opened

    def test_they_are_not_listed(self, warm: OpenedRun) -> None:
        lists = warm.rank(np.arange(5), Request(10))
        assert (lists.items % 2 == 0).all()
        assert (warm.nearest(np.array([4]), Request(10)).items % 2 == 0).all()

    def test_one_that_is_named_is_refused(self, warm: OpenedRun) -> None:
        name = warm.store.ids("items", np.array([3]))[0].as_py()
        for ask in (
            lambda: warm.nearest(np.array([2, 3]), Request()),
            lambda: warm.rank(np.array([0]), Request(candidates=np.array([2, 3]))),
        ):
            with pytest.raises(UserError, match=f"item {name!r} has no training interaction, and lightgcn"):
                ask()


class TestByRawIds:
    """What one calls from Python: ids in, an Arrow table out."""

    def test_users_lists(self, opened: OpenedRun, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(opened_run, "BLOCK", 2)
        names, items = (opened.store.ids(kind).to_pylist() for kind in ("users", "items"))  # type: ignore[arg-type]
        table = opened.recommend([names[4], str(names[0]), names[9]], k=3, candidates=items[:30])
        lists = opened.rank(np.array([4, 0, 9]), Request(3, candidates=np.arange(30)))
        assert table.column_names == ["user", "rank", "item", "score"]
        assert table["user"].to_pylist() == [names[user] for user in (4, 0, 9) for _ in range(3)]
        assert table["rank"].to_pylist() == [1, 2, 3] * 3
        assert table["item"].to_pylist() == [items[item] for item in lists.items.ravel()]
        assert table["score"].to_pylist() == lists.scores.ravel().tolist()

    def test_all_users_and_none(self, opened: OpenedRun) -> None:
        assert opened.recommend(k=1)["user"].to_pylist() == opened.store.ids("users").to_pylist()
        assert opened.recommend([]).num_rows == 0
        assert opened.recommend([]).schema == opened.recommend(k=1).schema

    def test_similar_items(self, opened: OpenedRun) -> None:
        items = opened.store.ids("items").to_pylist()
        table = opened.similar([items[2]], k=4)
        assert table.column_names == ["like", "rank", "item", "cosine"] and table["like"].to_pylist() == [items[2]] * 4
        assert table["item"].to_pylist() == [items[i] for i in opened.nearest(np.array([2]), Request(4)).items[0]]

    def test_an_unknown_id_is_named(self, opened: OpenedRun) -> None:
        with pytest.raises(UserError, match="has no user 'nobody'; did you mean"):
            opened.recommend(["nobody"])
        with pytest.raises(UserError, match="has no item '-5'"):
            opened.similar([-5])
