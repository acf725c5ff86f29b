"""Rows asked of their owners, answered, and answered back: as if one table held them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from dualgnn_dist.base.world import World
from dualgnn_dist.embeddings.routing import Route, put_rows

NUM_ROWS, WIDTH = 23, 3
TABLE = torch.arange(NUM_ROWS * WIDTH, dtype=torch.float32).reshape(NUM_ROWS, WIDTH)


def request(rank: int, size: int) -> torch.Tensor:
    """Distinct rows in no order; the last worker asks for none."""
    if size > 1 and rank == size - 1:
        return torch.empty(0, dtype=torch.int64)
    return torch.randperm(NUM_ROWS, generator=torch.Generator().manual_seed(rank))[: 9 + rank]


def _ask(world: World) -> dict[str, Any]:
    rows = request(world.rank, world.size)
    mine = TABLE[world.rank :: world.size]
    route = Route(rows, world)
    answered = route.answer(mine[route.asked])
    # Answered back: each row that the others asked for comes with who asked, so that the owner can add them up.
    back = route.send_back((answered + 1000 * world.rank)[route.places[route.num_own :]])
    added = torch.zeros_like(mine)
    added.index_add_(0, route.asked[: route.num_own], answered[route.places[: route.num_own]] + 1000 * world.rank)
    added.index_add_(0, route.asked[route.num_own :], back)
    counts = (route.num_own, route.num_others, route.num_served)
    return {"answered": answered, "added": added, "counts": counts, "ordered": rows[route.places]}


@pytest.mark.parametrize("size", [1, 2, 3])
def test_rows_come_from_their_owners_and_go_back_to_them(size: int, run_workers: Callable[..., list[Any]]) -> None:
    workers = run_workers(_ask, size)
    requests = [request(rank, size) for rank in range(size)]
    added = torch.zeros_like(TABLE)
    for rank, rows in enumerate(requests):
        added[rows] += TABLE[rows] + 1000 * rank
    for rank, (values, rows) in enumerate(zip(workers, requests, strict=True)):
        assert torch.equal(values["answered"], TABLE[rows])
        assert torch.equal(values["added"], added[rank::size])
        served = sum(int((other % size == rank).sum()) for r, other in enumerate(requests) if r != rank)
        own = int((rows % size == rank).sum())
        assert values["counts"] == (own, len(rows) - own, served)
        owners = [rank, *(other for other in range(size) if other != rank)]
        in_order = [row for owner in owners for row in sorted(rows[rows % size == owner].tolist())]
        assert values["ordered"].tolist() == in_order


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_are_put_in_their_places(dtype: torch.dtype) -> None:
    target, places = torch.zeros(5, WIDTH, dtype=dtype), torch.tensor([3, 0])
    put_rows(target, places, torch.tensor([[1, 2, 3], [4, 5, 6]], dtype=dtype))
    expected = torch.zeros(5, WIDTH, dtype=dtype)
    expected[3], expected[0] = torch.tensor([1, 2, 3], dtype=dtype), torch.tensor([4, 5, 6], dtype=dtype)
    assert torch.equal(target, expected)
