"""One negative item for each of a batch's users, outside its training row.

The rivals: a loop over the users that draws until the item is not in the user's row, and rejection with NumPy for all
users at a time, which looks pairs up in the sorted list of all training pairs (held in memory: 8 B an interaction).

    python benchmarks/negatives.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import common
import matplotlib
import numpy as np
from hops import zipf_graph

from dualgnn_dist.base.csr import ShardedCSR
from dualgnn_dist.sampling.negatives import NegativeSampler, popularity_weights

matplotlib.use("Agg")
from matplotlib import pyplot

STEP_MS = 150  # the least that a step of DualGNN took, on a small graph


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--interactions", type=int, default=9_750_000)
    parser.add_argument("--batch", type=int, default=8192)
    parser.add_argument("--calls", type=int, default=20)
    options = parser.parse_args()
    user_item, item_user = zipf_graph(options.users, options.items, options.interactions)
    pairs = np.repeat(np.arange(options.users), np.diff(user_item.offsets[0])) * options.items + user_item.neighbors[0]
    uniform = NegativeSampler(user_item, options.items)
    popular = NegativeSampler(user_item, options.items, popularity_weights(item_user.degrees(), 0.75))
    slots = np.arange(options.batch)
    ways: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
        "ours, uniform": lambda users, call: uniform.sample(users, slots, 1, 0, 0, call)[:, 0],
        "ours, by popularity": lambda users, call: popular.sample(users, slots, 1, 0, 0, call)[:, 0],
        "NumPy, vectorised": lambda users, call: vectorised(pairs, users, options.items, call),
        "Python loop": lambda users, call: loop(user_item, users, options.items, call),
    }
    rows = measure(ways, user_item, options)
    common.show(f"negatives of {options.batch:,} users, one thread; share of a step of {STEP_MS} ms", rows)
    draw(rows)
    common.file("negatives", {"rows": rows, "step_ms": STEP_MS, "options": vars(options)})


def vectorised(pairs: np.ndarray, users: np.ndarray, num_items: int, call: int) -> np.ndarray:
    """Draws again for those users whose item is in their row."""
    generator = np.random.default_rng(call)
    negatives = generator.integers(0, num_items, len(users))
    left = np.arange(len(users))
    while len(left):
        wanted = users[left].astype(np.int64) * num_items + negatives[left]
        found = pairs[np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)] == wanted
        left = left[found]
        negatives[left] = generator.integers(0, num_items, len(left))
    return negatives


def loop(user_item: ShardedCSR, users: np.ndarray, num_items: int, call: int) -> np.ndarray:
    """User by user, as the released code does."""
    generator = np.random.default_rng(call)
    negatives = []
    for user in users.tolist():
        row = set(user_item.row(user).tolist())
        item = int(generator.integers(num_items))
        while item in row:
            item = int(generator.integers(num_items))
        negatives.append(item)
    return np.array(negatives)


def measure(
    ways: dict[str, Callable[[np.ndarray, int], np.ndarray]], user_item: ShardedCSR, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """The ways take turns; each result is checked against the rows."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for call in range(options.calls + 1):  # the first compiles
        users = np.random.default_rng(call).integers(0, options.users, options.batch).astype(np.int32)
        for name, way in ways.items():
            started = time.perf_counter()
            negatives = way(users, call)
            seconds[name].append(time.perf_counter() - started)
            if call == 0:
                assert not any(item in user_item.row(user) for user, item in zip(users, negatives, strict=True))
    return [
        {
            "sampler": name,
            "ms": min(taken[1:]) * 1e3,
            "median ms": float(np.median(taken[1:])) * 1e3,
            "of a step": min(taken[1:]) * 1e3 / STEP_MS,
        }
        for name, taken in seconds.items()
    ]


def draw(rows: list[dict[str, Any]]) -> None:
    """The bars, on a logarithmic axis."""
    figure, axes = pyplot.subplots(figsize=(7, 2.2), constrained_layout=True)
    axes.barh([row["sampler"] for row in rows][::-1], [row["ms"] for row in rows][::-1])
    axes.set(xlabel="ms a call, one thread", xscale="log")
    figure.savefig(common.RESULTS / "negatives.png", dpi=110)


if __name__ == "__main__":
    main()
