"""Lists for all users of a store into a Parquet file, as `recommend --all` makes them: beside faiss and implicit.

The store is synthetic, the vectors are Gaussian with skewed norms: what is measured is ranking, leaving out what a user
has seen, looking ids up and writing. The rivals rank some of the users, in memory, and write nothing; faiss leaves
nothing out.

    python benchmarks/recommend.py --folder /tmp/recommend --threads 2
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import common
import numpy as np
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix

from dualgnn_dist.base.screen import say
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.pipeline import prepare
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.evaluation.evaluate import seen_items
from dualgnn_dist.results.finished_run import Learned
from dualgnn_dist.results.recommend.lists import Request
from dualgnn_dist.results.recommend.opened_run import OpenedRun
from dualgnn_dist.results.recommend.output import write_lists

try:
    import faiss
except ImportError:  # a rival only: pip install faiss-cpu
    faiss = None
try:
    from implicit.cpu.topk import topk as implicit_topk
except ImportError:  # a rival only: pip install implicit
    implicit_topk = None

K, WIDTH = 50, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="of store and lists")
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--interactions", type=int, default=10_000_000)
    parser.add_argument("--rival-users", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3, help="of the rivals, the best counts")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    opened = open_run(options)
    users = np.arange(options.rival_users)
    rows = [ours_to_a_file(opened, options)]
    with mock.patch.object(os, "cpu_count", lambda: options.threads):
        contenders = {"ours, in memory": lambda: opened.rank(users, Request(K)), **rivals(opened, users, options)}
        rounds = [timed(name, len(users), rank) for _ in range(options.rounds) for name, rank in contenders.items()]
    rows += [
        min((row for row in rounds if row["contender"] == name), key=lambda row: row["seconds"]) for name in contenders
    ]
    title = f"{options.users:,} users x {options.items:,} items, top {K}, {options.threads} threads"
    common.show(title, rows)
    facts = {"users": options.users, "items": options.items, "threads": options.threads}
    common.file("recommend", {"rows": rows, "options": facts | {"interactions": options.interactions}})


def open_run(options: argparse.Namespace) -> OpenedRun:
    path = options.folder / "store"
    numbers = {"num_users": options.users, "num_items": options.items, "num_interactions": options.interactions}
    if not path.exists():
        prepare(PrepareConfig(format="synthetic", split="random", options=numbers), path, say=say)
    store = Store.open(path)
    generator = np.random.default_rng(1)
    users = generator.standard_normal((store.manifest.num_users, WIDTH), np.float32)
    items = generator.standard_normal((store.manifest.num_items, WIDTH), np.float32)
    items *= generator.lognormal(0.0, 0.7, (len(items), 1)).astype(np.float32)
    run: Any = SimpleNamespace(metrics={"test": {"all": {}}})
    return OpenedRun(run, store, Learned(users, items, {}))


def ours_to_a_file(opened: OpenedRun, options: argparse.Namespace) -> dict[str, Any]:
    path, users = options.folder / "lists.parquet", np.arange(len(opened.learned.users))
    path.unlink(missing_ok=True)

    def write() -> None:
        with mock.patch.object(os, "cpu_count", lambda: options.threads):
            write_lists(path, opened.store, opened.in_blocks(users, Request(K)), len(users), say)

    row = timed("ours, all users, to Parquet", len(users), write)
    assert pq.read_metadata(path).num_rows == K * len(users)
    return row | {"file MiB": round(path.stat().st_size / 2**20)}


def rivals(opened: OpenedRun, users: np.ndarray, options: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    vectors, items = opened.learned.users[users], opened.learned.items
    contenders: dict[str, Callable[[], Any]] = {}
    if faiss is not None:
        faiss.omp_set_num_threads(options.threads)
        index = faiss.IndexFlatIP(WIDTH)
        index.add(items)
        contenders["faiss IndexFlatIP (leaves nothing out)"] = lambda: index.search(vectors, K)
    if implicit_topk is not None:
        offsets, seen = seen_items(opened.store, users.astype(np.int32), None)
        ones = np.ones(len(seen), dtype=np.float32)
        liked = csr_matrix((ones, seen, offsets.astype(np.int32)), shape=(len(users), len(items)))
        contenders["implicit topk"] = lambda: implicit_topk(
            items, vectors, K, filter_query_items=liked, num_threads=options.threads
        )
    return contenders


def timed(contender: str, num_users: int, rank: Callable[[], Any]) -> dict[str, Any]:
    started = time.perf_counter()
    rank()
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**10
    return {
        "contender": contender,
        "users": num_users,
        "seconds": round(seconds, 2),
        "users/s": round(num_users / seconds),
        "peak MiB so far": peak,
    }


if __name__ == "__main__":
    main()
