"""Row Adam equals torch's optimizers on the whole table, and its kernels equal its torch operations."""

from __future__ import annotations

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dualgnn_dist.embeddings.adam import RowState, read_rows, update_rows
from dualgnn_dist.embeddings.adam.missed_steps import entry_of, missed_steps
from dualgnn_dist.embeddings.config import AdamConfig

NUM_ROWS, WIDTH = 40, 13


@pytest.fixture(params=["kernels", "torch"])
def implementation(request, monkeypatch):
    """The kernels, and the operations that a GPU would run."""
    monkeypatch.setattr(RowState, "has_kernels", request.param == "kernels")


def update(state: RowState, rows: torch.Tensor, gradient: torch.Tensor, step: int, config: AdamConfig) -> None:
    """An update as one worker alone makes it: every row once, with its own gradient."""
    update_rows(state, rows, (gradient, gradient[:0]), torch.arange(len(rows)), step, config)


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


@pytest.mark.parametrize("epsilon", [1e-8, 1e-2])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.8, 0.9), (0.0, 0.99)])
@pytest.mark.parametrize(
    ("mode", "optimizer_class"), [("catch_up", torch.optim.Adam), ("lazy", torch.optim.SparseAdam)]
)
def test_equals_torch_on_the_whole_table(mode, optimizer_class, betas, epsilon, implementation):
    config = AdamConfig(learning_rate=1e-2, beta1=betas[0], beta2=betas[1], epsilon=epsilon, rows=mode)
    state = new_state()
    start = state.values.clone()
    table = torch.nn.Parameter(start.double())
    optimizer = optimizer_class([table], lr=1e-2, betas=betas, eps=epsilon)
    for step, rows, gradient in random_steps(200):
        # What a batch reads, not only what remains at the end, is what the other optimizer would show it.
        shown = read_rows(state, rows, step - 1, config)
        torch.testing.assert_close(shown.double(), table.data[rows], rtol=1e-5, atol=2e-6)
        update(state, rows, gradient, step, config)
        reference(optimizer, table, rows, gradient)
    everything = read_rows(state, torch.arange(NUM_ROWS), 200, config)
    torch.testing.assert_close(everything.double(), table.data, rtol=1e-5, atol=2e-6)
    assert (everything - start).abs().max() > 0.02


def test_the_two_modes_differ():
    """Or the comparisons above would not tell them apart."""
    ends = []
    for mode in ("catch_up", "lazy"):
        state, config = new_state(), AdamConfig(learning_rate=1e-2, rows=mode)
        for step, rows, gradient in random_steps(200):
            update(state, rows, gradient, step, config)
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
    config = AdamConfig(learning_rate=1.0, beta1=betas[0], beta2=betas[1], epsilon=1e-8)
    root = 1e-8 * 10**log_ratio
    exact = 0.0
    for k in range(1, gap + 1):
        step = last_step + k
        second = root**2 * betas[1] ** k / (1 - betas[1] ** step)
        exact += betas[0] ** k / (1 - betas[0] ** step) / (second**0.5 + 1e-8)
    missed = missed_steps(last_step + gap, config)
    entry = entry_of(last_step, last_step + gap, missed.horizon, len(missed.offsets) - 1)
    terms = slice(int(missed.offsets[entry]), int(missed.offsets[entry + 1]))
    drift = (missed.weight[terms].double() / (root + missed.epsilon[terms].double())).sum()
    assert float(drift) == pytest.approx(exact, rel=1e-5)


def num_terms(last_step: int, step: int, config: AdamConfig) -> int:
    missed = missed_steps(step, config)
    entry = entry_of(last_step, step, missed.horizon, len(missed.offsets) - 1)
    return int(missed.offsets[entry + 1] - missed.offsets[entry])


def test_two_terms_are_enough_once_training_is_under_way():
    config = AdamConfig(learning_rate=1.0)
    assert [num_terms(last_step, 1000, config) for last_step in (800, 900, 999, 1000)] == [2, 2, 1, 0]
    assert num_terms(3, 1000, config) > 2, "the second-moment corrections of the first steps differ too much"


def test_the_terms_do_not_grow_with_the_training():
    config = AdamConfig(learning_rate=1.0, beta1=0.5, beta2=0.9)
    assert len(missed_steps(10**9, config).weight) == len(missed_steps(10**6, config).weight) < 30_000


@st.composite
def contributions(draw):
    """Rows of a table, each from one to three times side by side, and where their gradients lie in two parts."""
    counts = draw(st.lists(st.integers(1, 3), min_size=0, max_size=12))
    distinct = draw(st.permutations(range(NUM_ROWS)))[: len(counts)]
    rows = [row for row, count in zip(distinct, counts, strict=True) for _ in range(count)]
    return rows, draw(st.permutations(range(len(rows)))), draw(st.integers(0, len(rows)))


@settings(max_examples=60, deadline=None)
@given(contributions=contributions(), mode=st.sampled_from(["catch_up", "lazy"]), num_workers=st.integers(1, 3))
def test_kernels_add_up_what_several_workers_send(contributions, mode, num_workers):
    rows, sources, num_own = contributions
    config, states = AdamConfig(learning_rate=1e-2, rows=mode), [new_state(), new_state()]
    gradient = torch.randn(len(rows), WIDTH, generator=torch.Generator().manual_seed(len(rows)))
    update(states[0], torch.arange(20), torch.ones(20, WIDTH), 1, config)
    update(states[1], torch.arange(20), torch.ones(20, WIDTH), 1, config)
    arguments = (torch.tensor(rows, dtype=torch.int64), (gradient[:num_own], gradient[num_own:]))
    placed = torch.tensor(sources, dtype=torch.int64)
    update_rows(states[0], *arguments, placed, 5, config, scale=1 / num_workers)
    # The slow twin: sums in a dense table, then one update of the rows that have any.
    total = torch.zeros(NUM_ROWS, WIDTH)
    for row, source in zip(rows, sources, strict=True):
        total[row] += gradient[source]
    distinct = torch.tensor(sorted(set(rows)), dtype=torch.int64)
    update(states[1], distinct, total[distinct] / num_workers, 5, config)
    for one, other in zip(*states, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("num_threads", [1, 2])
def test_kernels_equal_torch_operations_on_many_rows(num_threads, monkeypatch):
    num_rows = 9000  # enough for two ranges
    config = AdamConfig(learning_rate=1e-2)
    states, shown = [], []
    for has_kernels in (True, False):
        monkeypatch.setattr(RowState, "has_kernels", has_kernels)
        state, generator = new_state(num_rows, 8), torch.Generator().manual_seed(1)
        for step in range(1, 8):
            rows = torch.randint(num_rows, (6000,), generator=generator).sort().values  # some of them several times
            places, gradient = torch.randperm(6000, generator=generator), torch.randn(6000, 8, generator=generator)
            out = torch.empty(6000, 8)
            shown.append(read_rows(state, rows, step - 1, config, num_threads, out=out, places=places))
            update_rows(state, rows, (gradient[:2000], gradient[2000:]), places, step, config, num_threads)
        states.append(state)
    for fast, slow in zip(shown[:7], shown[7:], strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-6)
    for fast, slow in zip(*states, strict=True):
        torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-6)


def test_only_the_rows_asked_for_are_touched(implementation):
    config, state = AdamConfig(learning_rate=1e-2), new_state()
    update(state, torch.arange(NUM_ROWS), torch.ones(NUM_ROWS, WIDTH), 1, config)
    before = [tensor.clone() for tensor in state]
    update(state, torch.tensor([7, 3]), torch.ones(2, WIDTH), 9, config)
    for tensor, old in zip(state, before, strict=True):
        changed = (tensor != old).reshape(NUM_ROWS, -1).any(1)
        assert changed.nonzero().flatten().tolist() == [3, 7]


def test_reading_changes_nothing(implementation):
    config, state = AdamConfig(learning_rate=1e-2), new_state()
    update(state, torch.arange(10), torch.ones(10, WIDTH), 1, config)
    before = [tensor.clone() for tensor in state]
    shown = read_rows(state, torch.arange(NUM_ROWS), 50, config)
    assert all(torch.equal(left, right) for left, right in zip(before, state, strict=True))
    assert not torch.equal(shown, state.values), "momentum carried rows on"
    places = torch.arange(NUM_ROWS).flip(0)
    out = read_rows(state, torch.arange(NUM_ROWS), 50, config, out=torch.empty(NUM_ROWS, WIDTH), places=places)
    assert torch.equal(out, shown.flip(0))


@pytest.mark.parametrize("mode", ["catch_up", "lazy"])
def test_no_rows_and_no_steps(implementation, mode):
    config, state = AdamConfig(learning_rate=1e-2, rows=mode), new_state()
    none = torch.zeros(0, dtype=torch.int64)
    assert read_rows(state, none, 0, config).shape == (0, WIDTH)
    update(state, none, torch.zeros(0, WIDTH), 1, config)
    assert torch.equal(read_rows(state, torch.arange(NUM_ROWS), 1, config), new_state().values)


def test_a_row_that_does_not_exist_is_refused_before_a_kernel_sees_it():
    config, wrong = AdamConfig(learning_rate=1.0), torch.tensor([3, NUM_ROWS])
    with pytest.raises(AssertionError, match="row out of range"):
        read_rows(new_state(), wrong, 0, config)
    with pytest.raises(AssertionError, match="row out of range"):
        update(new_state(), wrong, torch.ones(2, WIDTH), 1, config)


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be above 0, not 0.0"),
        ({"learning_rate": 1.0, "beta1": 1.0}, r"beta1 and beta2 must lie in \[0, 1\)"),
        ({"learning_rate": 1.0, "beta1": 0.99, "beta2": 0.9}, "beta1=0.99 must be below sqrt"),
        ({"learning_rate": 1.0, "epsilon": 0.0}, "epsilon=0.0 must be above 0"),
    ],
)
def test_settings_out_of_range(settings_, message):
    with pytest.raises(ValueError, match=message):
        AdamConfig(**settings_)
