"""What every `BlockMap` promises, asked of the threads and of a real local Ray alike."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from dualgnn_dist.base.csr import ShardedCSR
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.make import make_at
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.cooccurrence import graph as cooccurrence_module
from dualgnn_dist.data.prepare.cooccurrence.blocks import BlockMap, ThreadMap
from dualgnn_dist.data.prepare.cooccurrence.graph import cooccurrence
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.launch.ray_blocks import RayMap, ray_map
from dualgnn_dist.launch.workers import blocks_of


@pytest.fixture(scope="module")
def on_ray() -> Iterator[RayMap]:
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Ray's workers cannot import a test
    with ray_map(in_flight=3) as found:
        yield found
    assert not ray.is_initialized(), "the local cluster that it started ends with it"
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.fixture(params=["threads", "ray"])
def block_map(request: pytest.FixtureRequest) -> BlockMap:
    return ThreadMap(2) if request.param == "threads" else request.getfixturevalue("on_ray")


def add(shared: int, number: int, seconds: float) -> int:
    time.sleep(seconds)
    return shared + number


def refuse(shared: int, number: int) -> int:
    if number == shared:
        raise UserError(f"block {number} is wrong; leave it out")
    if number < 0:
        raise ZeroDivisionError("of the function itself")
    return number


def total(shared: np.ndarray, first: int, last: int) -> tuple[float, bool]:
    return float(shared[first:last].sum()), shared.flags.owndata


def test_results_come_in_the_order_of_the_blocks(block_map: BlockMap) -> None:
    blocks = [(number, 0.02 * (number % 3 == 0)) for number in range(10)]
    assert list(block_map(add, 100, blocks)) == list(range(100, 110))
    assert list(block_map(add, 100, [])) == []


def test_a_bounded_number_is_in_flight(block_map: BlockMap) -> None:
    taken = 0

    def blocks() -> Iterator[tuple[int, float]]:
        nonlocal taken
        for number in range(40):
            taken += 1
            yield number, 0.0

    most = 0
    for yielded, _ in enumerate(block_map(add, 0, blocks())):
        most = max(most, taken - yielded)
    assert 2 <= most <= 5 and taken == 40


@pytest.mark.parametrize(("blocks", "raises"), [([1, 2, 7, 3, -1], UserError), ([1, -1, 7], ZeroDivisionError)])
def test_the_first_error_comes_out_as_it_was_raised(
    block_map: BlockMap, blocks: list[int], raises: type[Exception]
) -> None:
    seen: list[int] = []
    with pytest.raises(raises) as caught:
        for result in block_map(refuse, 7, [(number,) for number in blocks]):
            seen.append(result)
    assert type(caught.value) is raises
    assert str(caught.value) in ("block 7 is wrong; leave it out", "of the function itself")
    assert seen == blocks[: len(seen)] and len(seen) == {UserError: 2, ZeroDivisionError: 1}[raises]
    assert list(block_map(refuse, 7, [(5,)])) == [5]


def test_nobody_has_to_take_all_results(block_map: BlockMap) -> None:
    results: Any = block_map(add, 1, ((number, 0.0) for number in range(10**9)))
    assert next(results) == 1
    results.close()
    assert next(block_map(add, 1, [(1, 0.0)])) == 2


def test_tasks_read_what_they_share_in_place(on_ray: RayMap) -> None:
    shared = np.arange(1_000_000, dtype=np.float64)
    halves = list(on_ray(total, shared, [(0, 500_000), (500_000, 1_000_000)]))
    assert sum(half for half, _ in halves) == shared.sum()
    assert not any(copied for _, copied in halves)


def test_the_graph_is_the_same_on_ray(on_ray: RayMap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cooccurrence_module, "LARGEST_BLOCK", 100)
    generator = np.random.default_rng(0)
    users, items = (generator.integers(0, size, 4000).astype(np.int32) for size in (400, 90))
    graphs = ShardedCSR.from_pairs(users, items, 400), ShardedCSR.from_pairs(items, users, 90)
    here = list(cooccurrence(*graphs, 20, rows_per_shard=150))
    there = list(cooccurrence(*graphs, 20, rows_per_shard=150, block_map=on_ray))
    assert len(here) == len(there) == 3
    for one, other in zip(here, there, strict=True):
        for left, right in zip(one, other, strict=True):
            np.testing.assert_array_equal(left, right)


def test_a_connection_that_was_there_stays(on_ray: RayMap) -> None:
    with ray_map() as another:
        assert list(another(add, 1, [(1, 0.0)])) == [2]
    assert ray.is_initialized()


def test_prepare_makes_the_same_store_on_ray(on_ray: RayMap, tmp_path: Path) -> None:
    shape = {"num_users": 300, "num_items": 60, "num_interactions": 3000}
    for backend in ("threads", "ray"):
        config = PrepareConfig(format="synthetic", split="random", options=shape, backend=backend)  # type: ignore[arg-type]
        make_at(str(tmp_path / backend), config, blocks=blocks_of(config))
    threads, ray_ = (Store.open(tmp_path / backend).manifest for backend in ("threads", "ray"))
    assert threads.fingerprint == ray_.fingerprint
