"""Sampling of a batch's neighbourhood on a large graph, beside the samplers of others.

Each call has seeds of its own, so that no sampler finds its rows in the cache. The rivals do what pyg-lib's
`neighbor_sample` does: each node draws once, when it is first reached, and its neighbours get local numbers. Ours draws
anew at every hop for every node within reach (an eighth more edges) and does the same up to `draw + relabel`; the
transposes for the backward pass and the degrees, which the others leave to the model, come on top in `whole`.
pyg-lib itself takes part where it is installed.

    python benchmarks/hops.py
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import common
import matplotlib
import numpy as np
import torch
from numba import njit

from dualgnn_dist.base.csr import ShardedCSR
from dualgnn_dist.sampling.hops import NeighborSampler, Seeds

matplotlib.use("Agg")
from matplotlib import pyplot

FANOUTS = (10, 5)
SEEN_ELSEWHERE = {"pyg-lib": "38-44", "torch-sparse": "149-176"}  # ms, on another machine with 2 cores, not run here


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--interactions", type=int, default=9_750_000)
    parser.add_argument("--seeds", type=int, default=6144, help="two thirds of them users")
    parser.add_argument("--calls", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    user_item, item_user = zipf_graph(options.users, options.items, options.interactions)
    seeds = [draw_seeds(options, call) for call in range(options.calls)]
    sampler = NeighborSampler(user_item, item_user, FANOUTS)
    sharing = NeighborSampler(user_item, item_user, FANOUTS, "shared")
    samplers = {
        "ours: draw + relabel": lambda call: sampler._reach(seeds[call], np.uint64(call)),
        "ours: whole": lambda call: sampler.sample(seeds[call], np.uint64(call)),
        "ours, shared draws: whole": lambda call: sharing.sample(seeds[call], np.uint64(call)),
        **rivals(user_item, item_user, seeds),
    }
    rows = measure(samplers, options.calls)
    rows += [{"sampler": f"{name} (seen elsewhere)", "ms": ms, "median ms": ""} for name, ms in SEEN_ELSEWHERE.items()]
    threads = {str(number): batches_per_second(sampler, seeds, number) for number in (1, 2)}
    subgraphs = [each.sample(seeds[0], np.uint64(0)) for each in (sampler, sharing)]
    nodes, shared_nodes = (len(subgraph.users) + len(subgraph.items) for subgraph in subgraphs)
    common.show(
        f"{options.seeds:,} seeds, fanouts 10,5, one thread: our {nodes:,} nodes, {shared_nodes:,} with shared draws; "
        "least and median of a call",
        rows,
    )
    print(f"batches a second: {threads['1']:.1f} with one thread, {threads['2']:.1f} with two")
    draw(rows)
    common.file(
        "hops",
        {
            "rows": rows,
            "batches_per_second": threads,
            "nodes": nodes,
            "shared_nodes": shared_nodes,
            "options": vars(options),
        },
    )


def zipf_graph(num_users: int, num_items: int, num_interactions: int) -> tuple[ShardedCSR, ShardedCSR]:
    """Distinct pairs: users alike, the k-th item as often as 1 / k."""
    generator = np.random.default_rng(0)
    share = np.cumsum(1 / np.arange(1, num_items + 1))
    names = generator.permutation(num_items)
    pairs = np.empty(0, dtype=np.int64)
    while len(pairs) < num_interactions:
        missing = int((num_interactions - len(pairs)) * 1.05) + 100
        ranks = np.searchsorted(share, generator.random(missing) * share[-1])
        pairs = np.unique(np.concatenate([pairs, generator.integers(0, num_users, missing) * num_items + names[ranks]]))
    pairs = np.sort(generator.choice(pairs, num_interactions, replace=False))
    users, items = (pairs // num_items).astype(np.int32), (pairs % num_items).astype(np.int32)
    by_item = np.argsort(items, kind="stable")  # keeps the users of an item in order
    return rows_of(users, items, num_users), rows_of(items[by_item], users[by_item], num_items)


def rows_of(rows: np.ndarray, neighbors: np.ndarray, num_rows: int) -> ShardedCSR:
    """Pairs that are sorted already."""
    return ShardedCSR.from_arrays(np.searchsorted(rows, np.arange(num_rows + 1)), neighbors)


def draw_seeds(options: argparse.Namespace, call: int) -> Seeds:
    generator = np.random.default_rng(call)
    num_items = options.seeds // 3
    users = generator.choice(options.users, options.seeds - num_items, replace=False)
    items = generator.choice(options.items, num_items, replace=False)
    return Seeds(np.sort(users).astype(np.int32), np.sort(items).astype(np.int32))


def rivals(user_item: ShardedCSR, item_user: ShardedCSR, seeds: list[Seeds]) -> dict[str, Callable[[int], Any]]:
    """Samplers of one graph of all nodes, items after users, as pyg-lib reads it."""
    num_users, num_items = user_item.num_rows, item_user.num_rows
    rowptr = np.concatenate([user_item.offsets[0], user_item.offsets[0][-1] + item_user.offsets[0][1:]])
    col = np.concatenate([user_item.neighbors[0].astype(np.int64) + num_users, item_user.neighbors[0]])
    starts = [np.concatenate([part.users, part.items.astype(np.int64) + num_users]) for part in seeds]
    positions = np.full(num_users + num_items, -1, dtype=np.int64)
    tensors = [torch.from_numpy(array) for array in (rowptr, col, positions.copy())]
    made: dict[str, Callable[[int], Any]] = {
        "plain Numba": lambda call: plain_numba(
            rowptr, col, starts[call], FANOUTS, positions, np.random.default_rng(call)
        ),
        "torch, vectorised": lambda call: vectorised(*tensors, torch.from_numpy(starts[call]), FANOUTS),
    }
    if importlib.util.find_spec("pyg_lib"):
        from pyg_lib.sampler import neighbor_sample

        made["pyg-lib"] = lambda call: neighbor_sample(
            tensors[0], tensors[1], torch.from_numpy(starts[call]), list(FANOUTS), return_edge_id=False
        )
    return made


@njit(nogil=True)
def plain_numba(
    rowptr: np.ndarray, col: np.ndarray, seeds: np.ndarray, fanouts: tuple, positions: np.ndarray, generator: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Node by node: Floyd's choice, then the local number of each neighbour, from a scratch cleared by what was met."""
    capacity = len(seeds) * (1 + fanouts[0] * (1 + fanouts[1]))
    nodes, rows, columns = np.empty(capacity, np.int64), np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    chosen = np.empty(max(fanouts), np.int64)
    nodes[: len(seeds)] = seeds
    positions[seeds] = np.arange(len(seeds))
    begin, end, num_edges = 0, len(seeds), 0
    for fanout in fanouts:
        last = end
        for k in range(begin, last):
            first = rowptr[nodes[k]]
            degree = rowptr[nodes[k] + 1] - first
            for drawn in range(min(degree, fanout)):
                position = drawn
                if degree > fanout:
                    position = int(generator.random() * (degree - fanout + drawn + 1))
                    if (chosen[:drawn] == position).any():
                        position = degree - fanout + drawn
                    chosen[drawn] = position
                neighbor = col[first + position]
                if positions[neighbor] < 0:
                    positions[neighbor] = end
                    nodes[end] = neighbor
                    end += 1
                rows[num_edges], columns[num_edges] = k, positions[neighbor]
                num_edges += 1
        begin = last
    for k in range(end):
        positions[nodes[k]] = -1
    return nodes[:end].copy(), rows[:num_edges].copy(), columns[:num_edges].copy()


def vectorised(
    rowptr: torch.Tensor, col: torch.Tensor, positions: torch.Tensor, seeds: torch.Tensor, fanouts: tuple[int, ...]
) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
    """All nodes of a hop at a time: Floyd's choice draw by draw, and a scratch that the last of equal nodes wins."""
    nodes, rows, columns = [seeds], [], []
    positions[seeds] = torch.arange(len(seeds))
    begin, end = 0, len(seeds)
    for fanout in fanouts:
        frontier = nodes[-1]
        first, degree = rowptr[frontier], rowptr[frontier + 1] - rowptr[frontier]
        chosen = torch.empty(len(frontier), fanout, dtype=torch.int64)
        for drawn in range(fanout):
            last = degree - fanout + drawn
            candidate = (torch.rand(len(frontier)) * (last + 1)).long()
            is_taken = (chosen[:, :drawn] == candidate[:, None]).any(1)
            chosen[:, drawn] = torch.where(degree <= fanout, drawn, torch.where(is_taken, last, candidate))
        valid = chosen < degree[:, None]
        neighbors = col[(first[:, None] + chosen)[valid]]
        rows.append((torch.arange(begin, end)[:, None].expand_as(valid))[valid])
        unknown = neighbors[positions[neighbors] < 0]
        positions[unknown] = torch.arange(len(unknown))
        new = unknown[positions[unknown] == torch.arange(len(unknown))]
        positions[new] = torch.arange(end, end + len(new))
        columns.append(positions[neighbors])
        nodes.append(new)
        begin, end = end, end + len(new)
    positions[torch.cat(nodes)] = -1
    return torch.cat(nodes), rows, columns


def measure(samplers: dict[str, Callable[[int], Any]], calls: int) -> list[dict[str, Any]]:
    """The samplers take turns, so that what else the machine does falls on all."""
    seconds: dict[str, list[float]] = {name: [] for name in samplers}
    for call in [0, *range(calls)]:  # the first is made twice: it compiles
        for name, sample in samplers.items():
            started = time.perf_counter()
            sample(call)
            seconds[name].append(time.perf_counter() - started)
    return [
        {"sampler": name, "ms": min(taken[1:]) * 1e3, "median ms": float(np.median(taken[1:])) * 1e3}
        for name, taken in seconds.items()
    ]


def batches_per_second(sampler: NeighborSampler, seeds: list[Seeds], num_threads: int) -> float:
    """Whole subgraphs a second, each made by one of the threads; the best of three rounds."""
    with ThreadPoolExecutor(num_threads) as threads:
        taken = []
        for _ in range(4):  # in the first each thread makes its scratch
            started = time.perf_counter()
            list(threads.map(lambda call: sampler.sample(seeds[call], np.uint64(call)), range(len(seeds))))
            taken.append(time.perf_counter() - started)
    return len(seeds) / min(taken[1:])


def draw(rows: list[dict[str, Any]]) -> None:
    """The bars of what was run here."""
    run = [row for row in rows if isinstance(row["ms"], float)]
    figure, axes = pyplot.subplots(figsize=(7, 2.6), constrained_layout=True)
    axes.barh([row["sampler"] for row in run][::-1], [row["ms"] for row in run][::-1])
    axes.set(xlabel="ms a call, one thread")
    figure.savefig(common.RESULTS / "hops.png", dpi=110)


if __name__ == "__main__":
    main()
