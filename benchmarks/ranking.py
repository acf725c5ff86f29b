"""The best 50 of 100,000 items for 10,000 users, training items excluded: beside faiss and torch.

Three sets of vectors: Gaussian ones; ones whose norms are skewed (log-normal); and with `--run` those of a trained
model, its items resampled with a little noise to the asked number. `faiss.knn` excludes nothing, so it does less.

    python benchmarks/ranking.py --threads 2 --run runs/gowalla_lightgcn
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import numpy as np
import pyarrow as pa
import torch

from dualgnn_dist.evaluation.top_k import top_k

try:
    import faiss
except ImportError:  # a rival only: pip install faiss-cpu
    faiss = None

K, EXCLUDED, WIDTH = 50, 50, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", nargs="*", default=[], help="finished runs, whose vectors are ranked too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    generator = np.random.default_rng(1)
    users, items = (generator.standard_normal((n, WIDTH), np.float32) for n in (options.users, options.items))
    norms = generator.lognormal(0.0, 0.7, (options.items, 1)).astype(np.float32)
    data = {"gaussian": (users, items), "skewed norms": (users, items * norms)}
    for run in options.run:
        data[f"trained: {Path(run).name}"] = trained(Path(run), options, generator)
    rows = [row for name, vectors in data.items() for row in measure(name, *vectors, options, generator)]
    common.show(f"{options.users:,} users x {options.items:,} items, top {K}, {options.threads} threads", rows)
    bars = {f"{row['contender']}, {row['vectors']}": row["seconds"] for row in rows}
    common.bars("ranking", bars, "seconds")
    common.file("ranking", {"rows": rows, "options": vars(options) | {"run": [Path(run).name for run in options.run]}})


def trained(run: Path, options: argparse.Namespace, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A run's vectors, resampled to the asked numbers; new items lie near old ones (a tenth of their deviation)."""
    found = []
    for pattern, count in (("users-*.arrow", options.users), ("items.arrow", options.items)):
        parts = [pa.ipc.open_file(path).read_all() for path in sorted((run / "representations").glob(pattern))]
        vectors = np.concatenate([np.stack(part["vector"].to_numpy()) for part in parts]).astype(np.float32)
        chosen = vectors[generator.choice(len(vectors), count, replace=count > len(vectors))]
        found.append(chosen + 0.1 * vectors.std(0) * generator.standard_normal(chosen.shape, np.float32))
    return found[0].astype(np.float32), found[1].astype(np.float32)


def measure(
    name: str, users: np.ndarray, items: np.ndarray, options: argparse.Namespace, generator: np.random.Generator
) -> list[dict[str, Any]]:
    """Lines of the table: the contenders in turns, the best of some rounds."""
    offsets = np.arange(0, EXCLUDED * len(users) + 1, EXCLUDED, dtype=np.int64)
    excluded = np.sort(generator.integers(0, len(items), (len(users), EXCLUDED)), axis=1).astype(np.int32).ravel()
    user_tensor, item_tensor = torch.from_numpy(users), torch.from_numpy(items)
    contenders: dict[str, Callable[[], Any]] = {
        "ours": lambda: top_k(user_tensor, item_tensor, (offsets, excluded), K, num_threads=options.threads)[0],
        "torch matmul + topk": lambda: by_torch(user_tensor, item_tensor, excluded),
    }
    if faiss is not None:
        faiss.omp_set_num_threads(options.threads)
        contenders["faiss.knn (no exclusions)"] = lambda: faiss.knn(users, items, K, metric=faiss.METRIC_INNER_PRODUCT)
    seconds: dict[str, list[float]] = {contender: [] for contender in contenders}
    for _ in range(options.rounds):
        for contender, rank in contenders.items():
            started = time.perf_counter()
            lists = rank()
            seconds[contender].append(time.perf_counter() - started)
            if contender == "ours":
                check(lists, users, items, offsets, excluded)
    best = {contender: min(found) for contender, found in seconds.items()}
    norms = np.linalg.norm(items, axis=1)
    return [
        {
            "vectors": name,
            "contender": contender,
            "seconds": round(least, 3),
            "ours over it": round(best["ours"] / least, 2),
            "largest / median norm": round(float(norms.max() / np.median(norms)), 1),
        }
        for contender, least in best.items()
    ]


def by_torch(users: torch.Tensor, items: torch.Tensor, excluded: np.ndarray) -> torch.Tensor:
    """In blocks of users that fit the memory."""
    lists = []
    for start in range(0, len(users), 1000):
        scores = users[start : start + 1000] @ items.T
        rows = torch.from_numpy(excluded.reshape(-1, EXCLUDED)[start : start + 1000].astype(np.int64))
        lists.append(scores.scatter_(1, rows, -torch.inf).topk(K).indices)
    return torch.cat(lists)


def check(
    lists: np.ndarray, users: np.ndarray, items: np.ndarray, offsets: np.ndarray, excluded: np.ndarray, sample: int = 50
) -> None:
    """Some users' lists against a sort of all scores in float64."""
    for user in range(0, len(users), max(1, len(users) // sample)):
        scores = items.astype(np.float64) @ users[user].astype(np.float64)
        scores[excluded[offsets[user] : offsets[user + 1]]] = -np.inf
        best = np.sort(scores)[::-1][:K]
        np.testing.assert_allclose(scores[lists[user]], best, rtol=1e-12, err_msg=f"user {user}")


if __name__ == "__main__":
    main()
