"""Seconds for the user co-occurrence graph: for every user the K others that share the most items with it.

The rivals do the same work in the same run, one after another, and the best of several rounds counts:

- `sparse_dot_topn` (if it can be imported): the product A A^T of which only the largest K of a row are kept;
- scipy's sparse product by blocks of users, the K largest of each row by argpartition, one thread;
- the loop of DualGNN's released code over all pairs of users, on a few users: their seconds times the square of the
  ratio of users, which is what it would take.

`--large` also counts 1 M users and 10 M interactions, without and with a bound on the items' degree, and says how much
memory it took; no rival runs there.

    PYTHONPATH=rivals python benchmarks/cooccurrence.py --threads 2 --large
"""

from __future__ import annotations

import argparse
import importlib.util
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import common
import matplotlib
import numpy as np
import polars as pl
import psutil
from scipy import sparse

from dualgnn_dist.base.csr import ShardedCSR
from dualgnn_dist.data.prepare.cooccurrence.graph import cooccurrence
from dualgnn_dist.data.prepare.formats.synthetic import SyntheticOptions, read_synthetic

matplotlib.use("Agg")
from matplotlib import pyplot

Lists = tuple[np.ndarray, np.ndarray]  # offsets of the users' lists, counts
ROWS_PER_SHARD = 1 << 20
PRODUCT_USERS = 512  # users whose whole product scipy holds at once
LARGE = {"num_users": 1_000_000, "num_items": 100_000, "num_interactions": 10_000_000}


@dataclass(frozen=True)
class Data:
    """A synthetic bipartite graph in both directions."""

    user_item: ShardedCSR
    item_user: ShardedCSR

    @classmethod
    def make(cls, **sizes: int) -> Data:
        """The synthetic format's interactions; its features are not made."""
        table = pl.concat(list(read_synthetic(None, {}, SyntheticOptions(**sizes)).blocks()))
        users, items = (table[column].to_numpy().astype(np.int32) for column in ("user", "item"))
        return cls(
            ShardedCSR.from_pairs(users, items, sizes["num_users"]),
            ShardedCSR.from_pairs(items, users, sizes["num_items"]),
        )

    def pairs(self, max_item_degree: int | None = None) -> int:
        """How many (user, item, user) triples there are to count."""
        degrees = self.item_user.degrees().astype(np.int64)
        return int((degrees[degrees <= (max_item_degree or degrees.max())] ** 2).sum())

    def matrix(self) -> sparse.csr_matrix:
        """Users x items, int32 ones."""
        shape = (self.user_item.num_rows, self.item_user.num_rows)
        offsets, items = self.user_item.offsets[0].astype(np.int32), self.user_item.neighbors[0]
        return sparse.csr_matrix((np.ones(len(items), dtype=np.int32), items, offsets), shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=30_000)
    parser.add_argument("--items", type=int, default=6_000)
    parser.add_argument("--interactions", type=int, default=1_000_000)
    parser.add_argument("--top", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loop-users", type=int, default=300, help="users of the released code's loop")
    parser.add_argument("--large", action="store_true", help="1 M users and 10 M interactions, too")
    parser.add_argument("--name", default="cooccurrence", help="of the result's files")
    options = parser.parse_args()
    data = Data.make(num_users=options.users, num_items=options.items, num_interactions=options.interactions)
    rows = beside_rivals(data, options)
    title = f"{options.users:,} users, {data.pairs():,} pairs, top {options.top}, {options.threads} threads"
    common.show(title, rows)
    large = [of_large_size(Data.make(**LARGE), degree, options) for degree in (2000, None)] if options.large else []
    if large:
        common.show(f"{LARGE['num_users']:,} users, {LARGE['num_interactions']:,} interactions", large)
    common.RESULTS.mkdir(exist_ok=True)
    draw(rows, title, options.name)
    common.file(options.name, {"pairs": data.pairs(), "rows": rows, "large": large, "options": vars(options)})


def beside_rivals(data: Data, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Best seconds of everyone over interleaved rounds; the first, which compiles, is left out."""
    matrix = data.matrix()
    transposed = matrix.T.tocsr()
    everyone: dict[str, Callable[[], Any]] = {"ours": lambda: ours(data, options)}
    if importlib.util.find_spec("sparse_dot_topn"):
        everyone["sparse_dot_topn"] = lambda: sparse_dot_topn(matrix, transposed, options)
    everyone["scipy product + argpartition, 1 thread"] = lambda: scipy_product(matrix, transposed, options)
    expected = everyone["ours"]()
    best: dict[str, float] = {}
    for _ in range(options.rounds):
        for name, run in everyone.items():
            start = time.perf_counter()
            found = run()
            best[name] = min(best.get(name, float("inf")), time.perf_counter() - start)
            check(expected, found if name == "ours" else without_self(found), name)
    ratio = options.users / options.loop_users
    best[f"released loop, {options.loop_users} users x {ratio:.0f}^2"] = released_loop(data, options) * ratio**2
    return [{"who": who, "seconds": seconds, "times ours": seconds / best["ours"]} for who, seconds in best.items()]


def ours(data: Data, options: argparse.Namespace) -> Lists:
    lengths, counts = [], []
    for offsets, _, own in cooccurrence(
        data.user_item, data.item_user, options.top, rows_per_shard=ROWS_PER_SHARD, num_threads=options.threads
    ):
        lengths.append(np.diff(offsets))
        counts.append(own)
    return np.concatenate([[0], np.cumsum(np.concatenate(lengths))]), np.concatenate(counts)


def sparse_dot_topn(
    matrix: sparse.csr_matrix, transposed: sparse.csr_matrix, options: argparse.Namespace
) -> sparse.csr_matrix:
    """Its lists hold the user itself, too; so one more is asked for."""
    from sparse_dot_topn import sp_matmul_topn

    return sp_matmul_topn(matrix, transposed, top_n=options.top + 1, sort=True, n_threads=options.threads)


def scipy_product(
    matrix: sparse.csr_matrix, transposed: sparse.csr_matrix, options: argparse.Namespace
) -> sparse.csr_matrix:
    """Likewise."""
    values, columns, offsets = [], [], [0]
    for first in range(0, matrix.shape[0], PRODUCT_USERS):
        product = matrix[first : first + PRODUCT_USERS] @ transposed
        for start, end in pairwise(product.indptr):
            own = product.data[start:end]
            chosen = np.argpartition(own, -options.top - 1)[-options.top - 1 :] if len(own) > options.top + 1 else ...
            values.append(own[chosen])
            columns.append(product.indices[start:end][chosen])
            offsets.append(offsets[-1] + len(values[-1]))
    return sparse.csr_matrix((np.concatenate(values), np.concatenate(columns), offsets), (matrix.shape[0],) * 2)


def without_self(product: sparse.csr_matrix) -> Lists:
    """Offsets and counts of all but the diagonal."""
    users = np.repeat(np.arange(product.shape[0]), np.diff(product.indptr))
    kept = product.indices != users
    offsets = np.concatenate([[0], np.cumsum(np.bincount(users[kept], minlength=product.shape[0]))])
    return offsets, product.data[kept]


def released_loop(data: Data, options: argparse.Namespace) -> float:
    """Seconds for the pairs of the first users: two sets and the size of what they share, in Python."""
    items = {user: set(data.user_item.row(user).tolist()) for user in range(options.loop_users)}
    start = time.perf_counter()
    for user in range(options.loop_users):
        shared = {}
        for other in range(options.loop_users):
            if other != user and (number := len(items[user] & items[other])):
                shared[other] = number
        sorted(shared.items(), key=lambda pair: pair[1], reverse=True)[: options.top]
    return time.perf_counter() - start


def check(expected: Lists, found: Lists, name: str) -> None:
    """Everyone finds the same counts; which of equal ones is kept is theirs. Every hundredth user is looked at."""
    for user in range(0, len(expected[0]) - 1, 100):
        own, other = (np.sort(counts[offsets[user] : offsets[user + 1]])[::-1] for offsets, counts in (expected, found))
        assert np.array_equal(own, other[: len(own)]), f"{name}: other counts for user {user}"


def of_large_size(data: Data, max_item_degree: int | None, options: argparse.Namespace) -> dict[str, Any]:
    start, edges = time.perf_counter(), 0
    with peak_memory() as peak:
        for _, neighbors, _ in cooccurrence(
            data.user_item,
            data.item_user,
            options.top,
            rows_per_shard=ROWS_PER_SHARD,
            max_item_degree=max_item_degree,
            num_threads=options.threads,
        ):
            edges += len(neighbors)
    return {
        "max_item_degree": str(max_item_degree),
        "pairs": data.pairs(max_item_degree),
        "edges": edges,
        "seconds": time.perf_counter() - start,
        "GiB before": peak["before"] / 2**30,
        "GiB at most": peak["most"] / 2**30,
        "GiB of the result": edges * 8 / 2**30,
    }


@contextmanager
def peak_memory() -> Iterator[dict[str, int]]:
    """Resident bytes of this process: before, and the most while inside, looked at 20 times a second."""
    process = psutil.Process()
    seen = {"before": process.memory_info().rss, "most": 0}
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.05):
            seen["most"] = max(seen["most"], process.memory_info().rss)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


def draw(rows: list[dict[str, Any]], title: str, name: str) -> None:
    figure, panel = pyplot.subplots(figsize=(8, 2.6), constrained_layout=True)
    bars = panel.barh([row["who"] for row in rows], [row["seconds"] for row in rows], color=["C1"] + ["C0"] * len(rows))
    panel.bar_label(bars, [f"{row['seconds']:.3g} s" for row in rows], padding=3)
    panel.set(xscale="log", xlabel="seconds", title=title)
    panel.margins(x=0.15)
    panel.invert_yaxis()
    figure.savefig(common.RESULTS / f"{name}.png", dpi=110)


if __name__ == "__main__":
    main()
