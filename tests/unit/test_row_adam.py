"""Row Adam equals torch's optimizers on the whole table, and its kernels equal its torch operations."""

from __future__ import annotations

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.row_adam import (
    RowAdamConfig,
    RowState,
    _missed_steps,
    read_rows,
    read_rows_torch,
    update_rows,
    update_rows_torch,
)

NUM_ROWS, WIDTH = 40, 13
KERNELS, TORCH = (read_rows, update_rows), (read_rows_torch, update_rows_torch)


def new_state(num_rows: int = NUM_ROWS, width: int = WIDTH) -> RowState:
    values = torch.randn(num_rows, width, generator=torch.Generator().manual_seed(5))
    return RowState(
        values, torch.zeros_like(values), torch.zeros_like(values), torch.zeros(num_rows, dtype=torch.int32)
    )


def random_steps(num_steps: int, num_rows: int = NUM_ROWS, width: int = WIDTH):
    """Yields (step, distinct rows, gradient): few rows a step, sizes from 1 to 1e-8 as in a large batch."""
    generator = torch.Generator().manual_seed(7)
    sizes = 10 ** (-8 * torch.rand(num_rows, 1, generator=generator))
    for step in range(1, num_steps + 1):
        rows = torch.randperm(num_rows, generator=generator)[: int(torch.randint(0, 5, (1,), generator=generator))]
        yield step, rows, sizes[rows] * torch.randn(len(rows), width, generator=generator)


def reference(
    optimizer: torch.optim.Optimizer, table: torch.Tensor, rows: torch.Tensor, gradient: torch.Tensor
) -> None:
    if isinstance(optimizer, torch.optim.SparseAdam):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table.grad = torch.sparse_coo_tensor(rows[None], gradient.double(), table.shape)
    else:
        table.grad = torch.zeros_like(table).index_copy_(0, rows, gradient.double())
    optimizer.step()


@pytest.mark.parametrize("implementation", [KERNELS, TORCH], ids=["kernels", "torch"])
@pytest.mark.parametrize("epsilon", [1e-8, 1e-2])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.8, 0.9), (0.0, 0.99)])
@pytest.mark.parametrize(
    ("mode", "optimizer_class"), [("catch_up", torch.optim.Adam), ("lazy", torch.optim.SparseAdam)]
)
def test_equals_torch_on_the_whole_table(mode, optimizer_class, betas, epsilon, implementation):
    read, update = implementation
    config = RowAdamConfig(learning_rate=1e-2, beta1=betas[0], beta2=betas[1], epsilon=epsilon, mode=mode)
    state = new_state()
    start = state.values.clone()
    table = torch.nn.Parameter(start.double())
    optimizer = optimizer_class([table], lr=1e-2, betas=betas, eps=epsilon)
    for step, rows, gradient in random_steps(200):
        # What a batch reads, not only what remains at the end, is what the other optimizer would show it.
        torch.testing.assert_close(read(state, rows, step - 1, config).double(), table.data[rows], rtol=1e-5, atol=2e-6)
        update(state, rows, gradient, step, config)
        reference(optimizer, table, rows, gradient)
    everything = read(state, torch.arange(NUM_ROWS), 200, config)
    torch.testing.assert_close(everything.double(), table.data, rtol=1e-5, atol=2e-6)
    assert (everything - start).abs().max() > 0.02


def test_the_two_modes_differ():
    """Or the comparisons above would not tell them apart."""
    ends = []
    for mode in ("catch_up", "lazy"):
        state, config = new_state(), RowAdamConfig(learning_rate=1e-2, mode=mode)
        for step, rows, gradient in random_steps(200):
            read_rows(state, rows, step - 1, config)
            update_rows(state, rows, gradient, step, config)
        ends.append(read_rows(state, torch.arange(NUM_ROWS), 200, config))
    assert (ends[0] - ends[1]).abs().max() > 1e-2


@settings(max_examples=30, deadline=None)
@given(
    last_step=st.integers(0, 3000),
    gap=st.integers(1, 600),
    betas=st.sampled_from([(0.9, 0.999), (0.5, 0.9), (0.95, 0.9999), (0.0, 0.9)]),
    log_ratio=st.floats(-6, 6),
)
def test_missed_steps_equal_one_dense_step_after_another(last_step, gap, betas, log_ratio):
    """In float64, for any ratio of sqrt(v) to epsilon: within 1e-5 of the drift."""
    config = RowAdamConfig(learning_rate=1.0, beta1=betas[0], beta2=betas[1], epsilon=1e-8)
    root = 1e-8 * 10**log_ratio
    exact = 0.0
    for k in range(1, gap + 1):
        step = last_step + k
        second = root**2 * betas[1] ** k / (1 - betas[1] ** step)
        exact += betas[0] ** k / (1 - betas[0] ** step) / (second**0.5 + 1e-8)
    missed = _missed_steps(torch.tensor([last_step], dtype=torch.int32), last_step + gap, config)
    terms = slice(0, int(missed.num_terms[0]))
    drift = (missed.weight[0, terms].double() / (root + missed.epsilon[0, terms].double())).sum()
    assert float(drift) == pytest.approx(exact, rel=1e-5)


def test_two_terms_are_enough_once_training_is_under_way():
    config = RowAdamConfig(learning_rate=1.0)
    late = _missed_steps(torch.tensor([3, 800, 900], dtype=torch.int32), 1000, config)
    assert late.num_terms.tolist()[1:] == [2, 2]
    assert late.num_terms[0] > 2, "the second-moment corrections of the first steps differ too much for two terms"


@pytest.mark.parametrize("num_threads", [1, 2])
def test_kernels_equal_torch_operations_on_many_rows(num_threads):
    num_rows = 9000  # enough for two ranges
    config = RowAdamConfig(learning_rate=1e-2)
    fast, slow = new_state(num_rows, 8), new_state(num_rows, 8)
    generator = torch.Generator().manual_seed(1)
    for step in range(1, 8):
        rows = torch.randperm(num_rows, generator=generator)[:6000]
        gradient = torch.randn(6000, 8, generator=generator)
        read = read_rows(fast, rows, step - 1, config, num_threads)
        torch.testing.assert_close(read, read_rows_torch(slow, rows, step - 1, config), rtol=1e-6, atol=1e-6)
        update_rows(fast, rows, gradient, step, config, num_threads)
        update_rows_torch(slow, rows, gradient, step, config)
    for name in RowState._fields:
        torch.testing.assert_close(getattr(fast, name), getattr(slow, name), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("read", [read_rows, read_rows_torch])
def test_reading_without_keeping_changes_nothing(read):
    config, state = RowAdamConfig(learning_rate=1e-2), new_state()
    update_rows(state, torch.arange(10), torch.ones(10, WIDTH), 1, config)
    before = [tensor.clone() for tensor in state]
    shown = read(state, torch.arange(NUM_ROWS), 50, config, keep=False)
    assert all(torch.equal(left, right) for left, right in zip(before, state, strict=True))
    assert torch.equal(read(state, torch.arange(NUM_ROWS), 50, config, keep=True), shown)
    assert torch.equal(state.values, shown)
    assert state.last_step.eq(50).all() and not torch.equal(before[0], state.values)


@pytest.mark.parametrize("mode", ["catch_up", "lazy"])
@pytest.mark.parametrize(("read", "update"), [KERNELS, TORCH], ids=["kernels", "torch"])
def test_no_rows_and_no_steps(read, update, mode):
    config, state = RowAdamConfig(learning_rate=1e-2, mode=mode), new_state()
    none = torch.zeros(0, dtype=torch.int64)
    assert read(state, none, 0, config).shape == (0, WIDTH)
    update(state, none, torch.zeros(0, WIDTH), 1, config)
    assert torch.equal(read(state, torch.arange(NUM_ROWS), 1, config), new_state().values)


def test_a_row_that_does_not_exist_is_refused_before_a_kernel_sees_it():
    with pytest.raises(AssertionError, match="row out of range"):
        read_rows(new_state(), torch.tensor([3, NUM_ROWS]), 0, RowAdamConfig(learning_rate=1.0))


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate=0.0 must be above 0"),
        ({"learning_rate": 1.0, "beta1": 1.0}, "must lie below 1"),
        ({"learning_rate": 1.0, "beta1": 0.99, "beta2": 0.9}, "beta1=0.99 must be below sqrt"),
        ({"learning_rate": 1.0, "epsilon": 0.0}, "epsilon=0.0 must be above 0"),
    ],
)
def test_settings_out_of_range(settings_, message):
    with pytest.raises(ValueError, match=message):
        RowAdamConfig(**settings_)
