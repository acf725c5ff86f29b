"""FAISS indexes of a run's items by inner product, whose labels are rows of the store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dualgnn_dist.base.optional import optional
from dualgnn_dist.results.recommend.lists import Request
from dualgnn_dist.results.recommend.opened_run import OpenedRun
from dualgnn_dist.results.vectors.files import rankable_rows, write_ids

faiss = optional("faiss", "an index", package="faiss-cpu")
_ASKED, _LENGTH = 1000, 20  # users and list length by which an approximate index is measured
_LINKS, _CONSTRUCTION, _SEARCH = 32, 200, 128  # of a node; candidates looked at while building, and while searching


def write_flat(folder: Path, opened: OpenedRun) -> dict[str, float]:
    """`items.faiss`, which compares with every item, beside the users' vectors and all ids.

    Raises:
        UserError: FAISS is not installed.
    """
    _write(folder, opened, faiss.IndexFlatIP(opened.learned.items.shape[1]))
    return {}


def write_hnsw(folder: Path, opened: OpenedRun) -> dict[str, float]:
    """The same as a graph that is searched from neighbour to neighbour; what its lists miss is measured.

    Returns:
        `recall@20`: the share of the exact lists that it finds, mean of up to 1,000 users.

    Raises:
        UserError: FAISS is not installed.
    """
    graph = faiss.IndexHNSWFlat(opened.learned.items.shape[1], _LINKS, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction, graph.hnsw.efSearch = _CONSTRUCTION, _SEARCH
    return {f"recall@{_LENGTH}": recall_of(_write(folder, opened, graph), opened)}


def recall_of(index: Any, opened: OpenedRun) -> float:
    """The share of the exact lists of 20 rankable items that an index finds, mean of up to 1,000 users."""
    count = min(_ASKED, len(opened.learned.users))
    users = np.random.default_rng(0).choice(len(opened.learned.users), count, replace=False)
    exact = opened.rank(users, Request(_LENGTH, include_seen=True)).items
    _, labels = index.search(opened.learned.users[users], _LENGTH)
    shares = [
        len(np.intersect1d(wanted[wanted >= 0], row)) / max((wanted >= 0).sum(), 1)
        for wanted, row in zip(exact, labels, strict=True)
    ]
    return float(np.mean(shares))


def _write(folder: Path, opened: OpenedRun, index: Any) -> Any:
    labelled, rows = faiss.IndexIDMap(index), rankable_rows(opened)
    labelled.add_with_ids(np.ascontiguousarray(opened.learned.items[rows]), rows)
    faiss.write_index(labelled, str(folder / "items.faiss"))
    np.save(folder / "users.npy", opened.learned.users, allow_pickle=False)
    write_ids(folder, opened)
    return labelled
