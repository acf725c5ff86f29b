"""One worker's view of a table; several workers are in distributed/test_tables_gloo.py."""

from __future__ import annotations

import math

import pytest
import torch

from dualgnn_dist.base.table_part import Normal, TablePart, softmax_of_xavier_normal, xavier_normal, xavier_uniform
from dualgnn_dist.base.world import World
from dualgnn_dist.embeddings import sharded_table
from dualgnn_dist.embeddings.adam import RowState
from dualgnn_dist.embeddings.config import AdamConfig
from dualgnn_dist.embeddings.sharded_table import ShardedTable

PARTS = {"visual": TablePart(4, Normal(0.1)), "weights": TablePart(3, softmax_of_xavier_normal)}

ALONE = World()


def make(num_rows=50, world=ALONE, parts=PARTS, name="user", seed=1, mode="catch_up", storage="device"):
    return ShardedTable(name, num_rows, parts, world, seed, AdamConfig(learning_rate=0.1, rows=mode), storage)


def test_parts_lie_side_by_side():
    table = make()
    assert table.columns == {"visual": slice(0, 4), "weights": slice(4, 7)} and table.width == 7
    values = table.local_rows()[1]
    torch.testing.assert_close(values[:, table.columns["weights"]].sum(1), torch.ones(50))
    assert values[:, table.columns["visual"]].min() < 0


@pytest.mark.parametrize("size", [2, 7])
def test_first_values_do_not_depend_on_the_number_of_workers(size, monkeypatch):
    monkeypatch.setattr(sharded_table, "_ROWS_PER_BLOCK", 16)  # blocks that no number of workers here divides evenly
    alone = make(num_rows=101).local_rows()[1]
    for rank in range(size):
        rows, values = make(num_rows=101, world=World(rank, size, num_threads=2)).local_rows()
        assert rows.tolist() == list(range(rank, 101, size))
        assert torch.equal(values, alone[rows])


def test_first_values_depend_on_seed_table_part_and_block(monkeypatch):
    monkeypatch.setattr(sharded_table, "_ROWS_PER_BLOCK", 25)
    parts = {"a": TablePart(4, xavier_normal), "b": TablePart(4, xavier_normal)}
    values = make(parts=parts).local_rows()[1]
    assert torch.equal(values, make(parts=parts).local_rows()[1])
    others = [make(parts=parts, seed=2).local_rows()[1], make(parts=parts, name="item").local_rows()[1]]
    drawn = [values[:25, :4], values[25:, :4], values[:25, 4:], *(other[:25, :4] for other in others)]
    for index, left in enumerate(drawn):
        assert not any(torch.equal(left, right) for right in drawn[:index])


@pytest.mark.parametrize(
    ("initial", "std"),
    [
        (xavier_normal, math.sqrt(2 / 10_100)),
        (xavier_uniform, math.sqrt(2 / 10_100)),
        (Normal(0.3), 0.3),
    ],
)
def test_initial_scale_is_that_of_the_whole_table(initial, std):
    """Only 3000 of 10,000 rows are drawn: the scale must be that of all of them."""
    draws = initial(3000, 10_000, 100, torch.Generator().manual_seed(0))
    assert draws.shape == (3000, 100) and draws.dtype == torch.float32
    assert float(draws.std()) == pytest.approx(std, rel=0.01)
    assert abs(float(draws.mean())) < std / 100
    torch_draws = torch.empty(10_000, 100)
    if initial is xavier_normal:
        torch.nn.init.xavier_normal_(torch_draws, generator=torch.Generator().manual_seed(0))
    elif initial is xavier_uniform:
        torch.nn.init.xavier_uniform_(torch_draws, generator=torch.Generator().manual_seed(0))
        assert float(draws.abs().max()) <= math.sqrt(6 / 10_100)
    else:
        return
    assert float(torch_draws.std()) == pytest.approx(std, rel=0.01)


@pytest.mark.parametrize(("storage", "has_kernels"), [("device", True), ("host", True), ("device", False)])
@pytest.mark.parametrize("mode", ["catch_up", "lazy"])
def test_training_equals_a_dense_table_under_torch(mode, storage, has_kernels, monkeypatch):
    monkeypatch.setattr(RowState, "has_kernels", has_kernels)  # without them: the operations that a GPU would run
    table = make(mode=mode, storage=storage)
    dense = torch.nn.Embedding.from_pretrained(table.local_rows()[1].clone(), freeze=False, sparse=mode == "lazy")
    optimizer = (torch.optim.SparseAdam if mode == "lazy" else torch.optim.Adam)(dense.parameters(), lr=0.1)
    generator = torch.Generator().manual_seed(0)
    for _ in range(30):
        rows = torch.randperm(50, generator=generator)[:6]
        fetched = table.fetch(rows.int())
        torch.testing.assert_close(fetched, dense(rows), rtol=1e-4, atol=1e-5)
        for values in (fetched, dense(rows)):
            (values - 1).pow(2).mean().backward()
        table.apply_gradients(fetched)
        optimizer.step()
        optimizer.zero_grad()
    assert table.step == 30
    torch.testing.assert_close(table.local_rows()[1], dense.weight.data, rtol=1e-4, atol=1e-5)


def test_a_step_touches_the_rows_of_its_batch_and_no_others():
    table, rows = make(num_rows=3000), torch.tensor([2999, 7, 1500])
    before = [tensor.clone() for tensor in table.state]
    fetched = table.fetch(rows)
    assert all(torch.equal(tensor, old) for tensor, old in zip(table.state, before, strict=True)), "a fetch only reads"
    fetched.sum().backward()
    table.apply_gradients(fetched)
    for tensor, old in zip(table.state, before, strict=True):
        assert (tensor != old).reshape(3000, -1).any(1).nonzero().flatten().tolist() == sorted(rows.tolist())


def test_batches_of_growing_and_shrinking_size_use_the_same_memory():
    table, generator = make(), torch.Generator().manual_seed(0)
    values = table.local_rows()[1].clone()
    for size in (3, 40, 0, 12):
        rows = torch.randperm(50, generator=generator)[:size]
        assert torch.equal(table.fetch(rows), values[rows])


def test_ranges_of_local_rows_are_the_whole():
    table = make(num_rows=23)
    fetched = table.fetch(torch.tensor([4, 2]))
    fetched.sum().backward()
    table.apply_gradients(fetched)
    table.apply_gradients(table.fetch(torch.tensor([7])))  # a step that the first two rows miss
    ranges = [table.local_rows(start, start + 10) for start in range(0, 23, 10)]
    rows, values = table.local_rows()
    assert torch.equal(torch.cat([part[0] for part in ranges]), rows)
    assert torch.equal(torch.cat([part[1] for part in ranges]), values)
    assert not torch.equal(values, table.state.values), "momentum carried the two rows on"


def test_reading_between_two_steps_leaves_training_bit_for_bit():
    ends = []
    for looks in (False, True):
        table = make()
        for step in range(12):
            fetched = table.fetch(torch.tensor([step % 5, 10 + step % 3]))
            fetched.pow(2).sum().backward()
            table.apply_gradients(fetched)
            if looks:
                table.local_rows()
                table.state_dict()
        ends.append(table.local_rows()[1])
    assert torch.equal(*ends)


def test_a_fetch_is_applied_once_and_by_its_own_tensor():
    table = make()
    first = table.fetch(torch.tensor([1]))
    table.fetch(torch.tensor([2]))
    with pytest.raises(AssertionError, match="what the last fetch returned"):
        table.apply_gradients(first)
    second = table.fetch(torch.tensor([2]))
    table.apply_gradients(second)
    with pytest.raises(AssertionError, match="what the last fetch returned"):
        table.apply_gradients(second)


def test_state_goes_over_to_another_table():
    table, other = make(), make(seed=2)
    fetched = table.fetch(torch.tensor([3, 1]))
    fetched.sum().backward()
    table.apply_gradients(fetched)
    other.load_state_dict(table.state_dict())
    assert other.step == 1
    assert all(torch.equal(left, right) for left, right in zip(table.state, other.state, strict=True))
    with pytest.raises(AssertionError, match="another shape"):
        make(num_rows=51).load_state_dict(table.state_dict())
