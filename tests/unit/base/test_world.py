"""The collectives: with one worker the identity, with several what a list of all workers' values says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from dualgnn_dist.base.world import World


def rows_of(rank: int, count: int, width: int = 2) -> torch.Tensor:
    """Rows that tell their worker and their place."""
    return 100.0 * rank + torch.arange(count * width, dtype=torch.float32).reshape(count, width)


def sent(rank: int, size: int) -> list[int]:
    """How many rows a worker sends to each: none to some."""
    return [(rank + 2 * other) % 3 for other in range(size)]


def _everything(world: World) -> dict[str, Any]:
    lengths = sent(world.rank, world.size)
    received = world.exchange_lengths(lengths)
    rows = rows_of(world.rank, sum(lengths))
    memory = torch.empty(sum(received), 2)
    world.barrier()
    exchanged = world.exchange(rows, lengths, received)
    if world.size > 1:
        assert world.exchange(rows, lengths, received, out=memory) is memory
    return {
        "is_main": world.is_main,
        "sum": world.sum(torch.tensor([1.0, world.rank])),
        "rows": world.gather_rows(rows_of(world.rank, world.rank)),
        "lengths": received,
        "exchanged": exchanged,
        "in_place": memory if world.size > 1 else exchanged,
        "agree": [world.agree(world.rank == 1), world.agree(False), world.agree(True)],
    }


@pytest.mark.parametrize("size", [1, 2, 3])
def test_collectives(size: int, run_workers: Callable[..., list[Any]]) -> None:
    everything = run_workers(_everything, size)
    assert [values["is_main"] for values in everything] == [rank == 0 for rank in range(size)]
    pieces = [torch.split(rows_of(rank, sum(sent(rank, size))), sent(rank, size)) for rank in range(size)]
    for rank, values in enumerate(everything):
        assert values["sum"].tolist() == [size, sum(range(size))]
        assert [rows.tolist() for rows in values["rows"]] == [rows_of(other, other).tolist() for other in range(size)]
        assert values["lengths"] == [sent(other, size)[rank] for other in range(size)]
        expected = torch.cat([pieces[other][rank] for other in range(size)])
        assert torch.equal(values["exchanged"], expected) and torch.equal(values["in_place"], expected)
        assert values["agree"] == [size > 1, False, True]


def test_one_worker_needs_no_group_and_copies_nothing() -> None:
    world, rows = World(), rows_of(0, 3)
    assert not torch.distributed.is_initialized()
    assert world.sum(rows) is rows and world.gather_rows(rows)[0] is rows
    assert world.exchange(rows, [3], [3]) is rows and world.exchange_lengths([3]) == [3]
