"""A table over several processes is the table of one process."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dualgnn_dist.base.table_part import Normal, TablePart, xavier_uniform
from dualgnn_dist.base.world import World
from dualgnn_dist.embeddings.config import AdamConfig
from dualgnn_dist.embeddings.routing import Route
from dualgnn_dist.embeddings.sharded_table import ShardedTable
from dualgnn_dist.training import checkpoint

NUM_ROWS, NUM_STEPS, NUM_SLICES = 101, 20, 6
PARTS = {"preference": TablePart(5, Normal(0.1)), "fusion": TablePart(3, xavier_uniform)}


def make_table(world: World, mode: str = "catch_up", storage: str = "device") -> ShardedTable:
    return ShardedTable("user", NUM_ROWS, PARTS, world, 3, AdamConfig(learning_rate=1e-2, rows=mode), storage)


def requested_rows(step: int, slice_index: int) -> torch.Tensor:
    """The distinct rows one slice of a global batch asks for; some slices of some steps ask for none."""
    generator = torch.Generator().manual_seed(1000 * step + slice_index)
    count = int(torch.randint(0, 12, (1,), generator=generator)) if (step + slice_index) % 4 else 0
    return torch.randperm(NUM_ROWS, generator=generator)[:count].int()


def train(table: ShardedTable, world: World, steps: range) -> None:
    """Each step is a global batch of 6 slices, dealt to the workers; a worker's loss is scaled as DDP wants it."""
    weight = torch.linspace(-1, 1, table.width)
    for step in steps:
        mine = [requested_rows(step, index) for index in range(world.rank, NUM_SLICES, world.size)]
        rows, inverse = torch.unique(torch.cat(mine), return_inverse=True)
        rows = rows.flip(0)  # not in ascending order
        fetched = table.fetch(rows)
        assert fetched.is_leaf and fetched.requires_grad and fetched.shape == (len(rows), table.width)
        occurrences = fetched[len(rows) - 1 - inverse]
        loss = ((occurrences + weight) ** 3).sum() * (world.size / 100)
        if len(rows):
            loss.backward()
        table.apply_gradients(fetched)


def train_and_collect(world: World, mode: str, storage: str) -> tuple[torch.Tensor, torch.Tensor]:
    table = make_table(world, mode, storage)
    train(table, world, range(NUM_STEPS))
    assert table.step == NUM_STEPS
    return table.local_rows()


def whole_table(results: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    rows, values = torch.cat([rows for rows, _ in results]), torch.cat([values for _, values in results])
    assert torch.equal(rows.sort().values, torch.arange(NUM_ROWS))
    return values[rows.argsort()]


@pytest.mark.parametrize(("size", "mode", "storage"), [(2, "catch_up", "device"), (3, "lazy", "host")])
def test_any_number_of_workers_trains_the_same_table(run_workers, size, mode, storage):
    alone = whole_table(run_workers(train_and_collect, 1, mode, storage))
    together = whole_table(run_workers(train_and_collect, size, mode, storage))
    start = make_table(World()).local_rows()[1]
    assert (alone - start).abs().max() > 0.05, "the training must move the table for the comparison to say anything"
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


def fetch_values(world: World) -> bool:
    everything = make_table(World()).local_rows()[1]
    rows = torch.randperm(NUM_ROWS)[: 10 * world.rank]  # the first worker asks for nothing
    return torch.equal(make_table(world).fetch(rows), everything[rows])


def test_fetch_gives_the_rows_asked_for_in_their_order(run_workers):
    assert run_workers(fetch_values, 3) == [True, True, True]


def answer_rows(world: World) -> bool:
    """Every worker answers with its own row numbers, as floats, then as integers."""
    requests = [
        torch.randperm(NUM_ROWS, generator=torch.Generator().manual_seed(rank))[: 30 * rank]
        for rank in range(world.size)
    ]
    rows = requests[world.rank]
    route = Route(rows, world)
    mine = [int((request % world.size == world.rank).sum()) for request in requests]
    assert len(route.asked) == sum(mine) and route.num_own == mine[world.rank]
    own = route.asked * world.size + world.rank
    wide = own.float()[:, None].expand(-1, 4).contiguous()
    return torch.equal(route.answer(own), rows) and torch.equal(route.answer(wide)[:, 3], rows.float())


def test_answers_come_in_the_order_of_the_request_and_own_rows_stay(run_workers):
    assert run_workers(answer_rows, 3) == [True, True, True]


def both_add_to_one_row(world: World) -> torch.Tensor:
    table = make_table(world, "lazy")
    fetched = table.fetch(torch.tensor([4 + world.rank, 8, 5 - world.rank]))
    (fetched * (world.rank + 1)).sum().backward()
    table.apply_gradients(fetched)
    return table.state.first_moment[table.row_ids == 8]


def test_what_several_workers_send_for_a_row_is_averaged_over_all_of_them(run_workers):
    owner, other = run_workers(both_add_to_one_row, 2)
    torch.testing.assert_close(owner, torch.full((1, 8), 0.1 * (1 + 2) / 2))
    assert len(other) == 0


def save_on_the_way(world: World, folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    table = make_table(world)
    train(table, world, range(NUM_STEPS // 2))
    checkpoint.save(folder, world, dense={}, dense_optimizer={}, tables={"user": table}, progress={"step": 10})
    train(table, world, range(NUM_STEPS // 2, NUM_STEPS))
    return table.local_rows()


def load_and_go_on(world: World, folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    table = make_table(world)
    step = checkpoint.load(folder, world, tables={"user": table}).progress["step"]
    train(table, world, range(step, NUM_STEPS))
    return table.local_rows()


def test_a_checkpoint_of_two_workers_goes_on_with_two_bit_for_bit_and_with_one(run_workers, tmp_path):
    folder = tmp_path / "checkpoints" / "step-10"
    uninterrupted = whole_table(run_workers(save_on_the_way, 2, folder))
    assert torch.equal(whole_table(run_workers(load_and_go_on, 2, folder)), uninterrupted)
    torch.testing.assert_close(whole_table(run_workers(load_and_go_on, 1, folder)), uninterrupted, rtol=0, atol=1e-6)
