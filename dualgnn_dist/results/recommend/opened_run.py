"""A finished run with its store and its vectors in memory: lists for users, and items that resemble an item.

The score of an item for a user is the inner product of their vectors, as in training and in every ranking of the run.
The similarity of two items is the cosine of theirs, `<z(i), z(j)> / (|z(i)| |z(j)|)`: a popular item has a long vector,
and would be near everything by the inner product.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.config import Candidates
from dualgnn_dist.evaluation.evaluate import BLOCK, among, candidate_items, seen_items
from dualgnn_dist.evaluation.top_k import top_k
from dualgnn_dist.results.finished_run import FinishedRun, Learned
from dualgnn_dist.results.per_user import check_belong
from dualgnn_dist.results.raw_ids import RawId, rows_of
from dualgnn_dist.results.recommend.lists import Lists, Request, table_of


class OpenedRun:
    """See the module.

    Attributes:
        run: what the run's folder says.
        store: the one that it was trained on.
        learned: users float32 [U, d] and items float32 [I, d].
    """

    def __init__(self, run: FinishedRun, store: Store, learned: Learned) -> None:
        self.run, self.store, self.learned = run, store, learned

    @classmethod
    def read(cls, place: str | Path) -> OpenedRun:
        """Opens a finished run's folder or URL.

        Raises:
            UserError: no finished run, damaged files, another store, or vectors of another run.
        """
        return cls.of(FinishedRun.read(place))

    @classmethod
    def of(cls, run: FinishedRun) -> OpenedRun:
        """The same of a run whose folder is read."""
        store = run.open_store()
        learned = run.learned(store)
        check_belong(run, learned, store)
        return cls(run, store, learned)

    @property
    def rankable(self) -> Candidates:
        """What the run is judged by: `warm` where the model knows items by interactions alone and some have none."""
        return next(iter(self.run.metrics["test"]))  # type: ignore[arg-type]

    def recommend(
        self,
        users: Sequence[RawId] | None = None,
        k: int = 10,
        *,
        include_seen: bool = False,
        candidates: Sequence[RawId] | None = None,
    ) -> pa.Table:
        """The best items of users, by their ids in the raw data.

        Args:
            users: None for all.
            k: length of a list.
            include_seen: whether a user's own items of the store are listed too.
            candidates: the only items that may be listed; None for all that the model can rank.

        Returns:
            `user`, `rank` int32 from 1, `item`, `score` float64: a row an entry, users in the order asked for. An Arrow
            table: `polars.from_arrow(table)` and `table.to_pandas()` take it.

        Raises:
            UserError: a user or an item that the store lacks, or that the model cannot rank.
        """
        everyone = np.arange(self.store.manifest.num_users)
        rows = everyone if users is None else rows_of(self.store, "users", users)
        request = Request(k, include_seen, self._rows_of_candidates(candidates))
        blocks = [table_of(self.store, "users", block, lists) for block, lists in self.in_blocks(rows, request)]
        return pa.concat_tables(blocks or [table_of(self.store, "users", rows, self.rank(rows, request))])

    def similar(self, items: Sequence[RawId], k: int = 10, *, candidates: Sequence[RawId] | None = None) -> pa.Table:
        """The items that resemble items, by the cosine of their vectors: `like`, `rank`, `item`, `cosine`.

        Raises:
            UserError: as of `recommend`.
        """
        rows = rows_of(self.store, "items", items)
        lists = self.nearest(rows, Request(k, candidates=self._rows_of_candidates(candidates)))
        return table_of(self.store, "items", rows, lists, "cosine")

    def rank(self, users: np.ndarray, request: Request) -> Lists:
        """The best items of int [n] rows of users, in this order; exact, and unique as every ranking here.

        Raises:
            UserError: a candidate that the model cannot rank.
        """
        rows, places = np.unique(users, return_inverse=True)
        candidates = self._candidates(request)
        lists = self._ranked(rows.astype(np.int32), candidates, request)
        return Lists(lists.items[places], lists.scores[places])

    def in_blocks(self, users: np.ndarray, request: Request) -> Iterator[tuple[np.ndarray, Lists]]:
        """The same, 16,384 users at a time: `(users, their lists)`, so that memory does not grow with the users."""
        for start in range(0, len(users), BLOCK):
            block = users[start : start + BLOCK]
            yield block, self.rank(block, request)

    def nearest(self, items: np.ndarray, request: Request) -> Lists:
        """The items nearest to int [n] rows of items by cosine, without the item itself.

        Raises:
            UserError: an item or a candidate that the model cannot rank.
        """
        candidates = self._candidates(request)
        self._check_rankable(items)
        directions = _directions(self.learned.items)
        itself = np.arange(len(items) + 1), items.astype(np.int32)
        return self._top(directions[items], directions, candidates, itself, request.k)

    def _ranked(self, users: np.ndarray, candidates: np.ndarray | None, request: Request) -> Lists:
        if request.include_seen:
            excluded = np.zeros(len(users) + 1, dtype=np.int64), np.empty(0, dtype=np.int32)
        else:
            excluded = seen_items(self.store, users, None)
        return self._top(self.learned.users[users], self.learned.items, candidates, excluded, request.k)

    def _top(
        self,
        queries: np.ndarray,
        items: np.ndarray,
        candidates: np.ndarray | None,
        excluded: tuple[np.ndarray, np.ndarray],
        k: int,
    ) -> Lists:
        vectors = items if candidates is None else items[candidates]
        excluded = among(candidates, *excluded, len(items))
        num_threads = os.cpu_count() or 1
        ranked, scores = top_k(
            torch.from_numpy(queries), torch.from_numpy(vectors), excluded, k, num_threads=num_threads
        )
        if candidates is not None and len(candidates):
            ranked = np.where(ranked < 0, -1, candidates[ranked]).astype(np.int32)
        return Lists(ranked, scores)

    def _rows_of_candidates(self, candidates: Sequence[RawId] | None) -> np.ndarray | None:
        return None if candidates is None else rows_of(self.store, "items", candidates)

    def _candidates(self, request: Request) -> np.ndarray | None:
        """int64 ascending, once each; None for all items."""
        if request.candidates is None:
            return candidate_items(self.store, self.rankable)
        self._check_rankable(request.candidates)
        return np.unique(request.candidates)

    def _check_rankable(self, items: np.ndarray) -> None:
        rankable = candidate_items(self.store, self.rankable)
        if rankable is None or not len(unknown := items[~np.isin(items, rankable)]):
            return
        first = self.store.ids("items", unknown[:1])[0].as_py()
        raise UserError(
            f"item {first!r} has no training interaction, and {self.run.config.model.name} knows items by their "
            "interactions alone; leave it out, or train a model that reads content: dualgnn, mmgcn or vbpr"
        )


def _directions(vectors: np.ndarray) -> np.ndarray:
    """The vectors with length 1, float32 [n, d]; the zero vector stays, and has cosine 0 with all."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
