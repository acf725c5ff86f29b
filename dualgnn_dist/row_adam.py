"""Adam on the rows of an embedding table that a step touches, at a cost of those rows only.

Dense Adam moves every row at every step: a row without a gradient still follows its momentum while its moments decay.
`lazy` leaves such rows alone (`torch.optim.SparseAdam`). `catch_up` gives dense Adam's values: a row remembers the step
it stands at, and when it is read its missed steps are made up at once.

A row at step s with moments m and v, and no gradient since, has moved after n further steps by

    -lr * m * sum_k  w_k / (sqrt(v) + epsilon * r_k)            k = 1 .. n
    r_k = sqrt((1 - beta2^(s+k)) / beta2^k)     w_k = r_k * beta1^k / (1 - beta1^(s+k))

The r_k differ little from one another (beta2 is close to 1), so two terms with the same first four moments, a Gauss
quadrature of the sum, stand for all of them. Where they do differ, in the first steps of a training, the sum is taken
term by term. The terms depend on s alone: they are computed once for each distinct s among the rows.

Two implementations: plain torch for any device, and Numba kernels for float32 rows in CPU memory.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numba import njit

_NEGLIGIBLE = 1e-7  # momentum left of a row after which its further drift is below float32's resolution
_MAX_SPREAD = 0.04  # relative standard deviation of the r_k up to which two terms hold the sum to about 1e-5
_MIN_ROWS_PER_THREAD = 2048  # below this, handing rows to another thread costs more than it saves


@dataclass(frozen=True, kw_only=True)
class RowAdamConfig:
    """Adam's settings, and what happens to rows that a step does not touch.

    Args:
        mode: `catch_up` equals dense Adam on the whole table; `lazy` equals `torch.optim.SparseAdam`.

    Raises:
        ValueError: a setting outside its range.
    """

    learning_rate: float
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    mode: Literal["catch_up", "lazy"] = "catch_up"

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate={self.learning_rate} must be above 0")
        if not (0 <= self.beta1 < 1 and 0 < self.beta2 < 1):
            raise ValueError(f"beta1={self.beta1} and beta2={self.beta2} must lie below 1 and not below 0")
        if self.beta1**2 >= self.beta2:
            raise ValueError(
                f"beta1={self.beta1} must be below sqrt(beta2)={math.sqrt(self.beta2):.4g}: otherwise a row without "
                "gradients never comes to rest"
            )
        if not self.epsilon > 0:
            raise ValueError(f"epsilon={self.epsilon} must be above 0: rows start with second moments of 0")

    @property
    def horizon(self) -> int:
        """Steps after which momentum is spent."""
        return math.ceil(math.log(_NEGLIGIBLE) / math.log(self.beta1)) if self.beta1 > 0 else 0


class RowState(NamedTuple):
    """The rows one worker owns. All tensors lie on one device."""

    values: torch.Tensor  # float32 [rows, width]
    first_moment: torch.Tensor  # float32 [rows, width]
    second_moment: torch.Tensor  # float32 [rows, width]
    last_step: torch.Tensor  # int32 [rows]: the step each row stands at; 0 = never touched

    @property
    def has_kernels(self) -> bool:
        """Whether the Numba kernels can work on these rows."""
        return self.values.device.type == "cpu" and self.values.dtype == torch.float32


def read_rows(
    state: RowState, rows: torch.Tensor, step: int, config: RowAdamConfig, num_threads: int = 1, keep: bool = True
) -> torch.Tensor:
    """A copy of `rows` as they are after `step` steps of the table.

    Args:
        rows: int64 [n], distinct, on the state's device.
        keep: whether the state keeps the missed steps that were made up. Without it the state is left as it is.

    Returns:
        [n, width] like the state's values.
    """
    if not state.has_kernels:
        return read_rows_torch(state, rows, step, config, keep)
    assert len(rows) == 0 or (int(rows.min()) >= 0 and int(rows.max()) < len(state.values)), "row out of range"
    out = torch.empty((len(rows), state.values.shape[1]), dtype=torch.float32)
    missed = _missed_steps(state.last_step[rows], step, config)
    arguments = (rows.numpy(), step, np.float32(config.learning_rate), keep, out.numpy())
    _in_threads(_read_kernel, len(rows), num_threads, _arrays(state), _arrays(missed), *arguments)
    return out


def update_rows(
    state: RowState, rows: torch.Tensor, gradient: torch.Tensor, step: int, config: RowAdamConfig, num_threads: int = 1
) -> None:
    """One Adam step, the table's `step`-th (from 1), on `rows`, in place.

    With `catch_up` the rows must have been read (and kept) at `step - 1`.

    Args:
        rows: int64 [n], distinct, on the state's device.
        gradient: [n, width] on the state's device.
    """
    if not state.has_kernels:
        return update_rows_torch(state, rows, gradient, step, config)
    scalars = (1 - config.beta1, config.beta2, 1 - config.beta2, *_step_size(step, config))
    arguments = (rows.numpy(), gradient.contiguous().numpy(), step, tuple(map(np.float32, scalars)))
    _in_threads(_update_kernel, len(rows), num_threads, _arrays(state), *arguments)


def read_rows_torch(
    state: RowState, rows: torch.Tensor, step: int, config: RowAdamConfig, keep: bool = True
) -> torch.Tensor:
    """`read_rows` in torch operations, for any device."""
    values, last_step = state.values[rows], state.last_step[rows]
    missed = _missed_steps(last_step, step, config)
    if not len(missed.beta1_decay):
        return values
    which = missed.which.long()
    first, root = state.first_moment[rows], state.second_moment[rows].sqrt()
    drift = torch.zeros_like(values)
    for term in range(missed.weight.shape[1]):
        live = (missed.num_terms[which] > term).nonzero().squeeze(1)
        weight, epsilon = missed.weight[which[live], term, None], missed.epsilon[which[live], term, None]
        drift[live] += weight / (root[live] + epsilon)
    values -= config.learning_rate * first * drift
    if keep:
        state.values[rows] = values
        state.first_moment[rows] = first * missed.beta1_decay[which, None]
        state.second_moment[rows] *= missed.beta2_decay[which, None]
        state.last_step[rows] = step
    return values


def update_rows_torch(
    state: RowState, rows: torch.Tensor, gradient: torch.Tensor, step: int, config: RowAdamConfig
) -> None:
    """`update_rows` in torch operations, for any device."""
    step_size, epsilon = _step_size(step, config)
    first = state.first_moment[rows].lerp_(gradient, 1 - config.beta1)
    second = state.second_moment[rows].mul_(config.beta2).addcmul_(gradient, gradient, value=1 - config.beta2)
    state.first_moment[rows], state.second_moment[rows] = first, second
    state.values[rows] -= step_size * first / (second.sqrt() + epsilon)
    state.last_step[rows] = step


def _step_size(step: int, config: RowAdamConfig) -> tuple[float, float]:
    """(a, e) such that the step is `-a * m / (sqrt(v) + e)`; SparseAdam adds its epsilon before v's bias correction."""
    correction = math.sqrt(1 - config.beta2**step)
    step_size = config.learning_rate * correction / (1 - config.beta1**step)
    return step_size, config.epsilon * (correction if config.mode == "catch_up" else 1.0)


class _MissedSteps(NamedTuple):
    """The terms of the drift, a row of terms for each distinct last step; all empty where nothing was missed."""

    which: torch.Tensor  # int32 [n]: a read row's place in the arrays below
    num_terms: torch.Tensor  # int32 [distinct]
    weight: torch.Tensor  # float32 [distinct, terms]: w_k
    epsilon: torch.Tensor  # float32 [distinct, terms]: epsilon * r_k
    beta1_decay: torch.Tensor  # float32 [distinct]
    beta2_decay: torch.Tensor  # float32 [distinct]


def _missed_steps(last_step: torch.Tensor, step: int, config: RowAdamConfig) -> _MissedSteps:
    device = last_step.device
    if config.mode == "lazy" or len(last_step) == 0 or int(last_step.min()) == step:
        ints, floats = torch.zeros(0, dtype=torch.int32, device=device), torch.zeros(0, device=device)
        return _MissedSteps(ints, ints, floats[:, None], floats[:, None], floats, floats)
    distinct, which = torch.unique(last_step, return_inverse=True)
    start = distinct.double()[:, None]
    gap = step - start
    k = torch.arange(1, min(config.horizon, int(gap.max())) + 1, dtype=torch.float64, device=device)
    log_beta1, log_beta2 = math.log(max(config.beta1, 1e-300)), math.log(config.beta2)
    node = torch.sqrt(-torch.expm1((start + k) * log_beta2)) * torch.exp(-0.5 * log_beta2 * k)
    weight = node * torch.exp(log_beta1 * k) / -torch.expm1((start + k) * log_beta1) * (k <= gap)
    num_terms, weight, node = _in_two_terms(weight, node, gap.squeeze(1).clamp(max=len(k)))
    return _MissedSteps(
        which.int(),
        num_terms.int(),
        weight.float().contiguous(),
        (config.epsilon * node).float().contiguous(),
        torch.exp(log_beta1 * gap).squeeze(1).float(),
        torch.exp(log_beta2 * gap).squeeze(1).float(),
    )


def _in_two_terms(
    weight: torch.Tensor, node: torch.Tensor, num_terms: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Replaces rows of terms by the two that have the same moments 0 to 3, where the nodes lie close together."""
    if weight.shape[1] <= 2:
        return num_terms, weight, node
    total = weight.sum(1).clamp(min=1e-300)
    center = (weight * node).sum(1) / total
    off_center = node - center[:, None]
    spread = ((weight * off_center**2).sum(1) / total).sqrt().clamp(min=1e-30)
    skew = (weight * off_center**3).sum(1) / total / spread**3
    root = torch.sqrt(skew**2 + 4)
    place = torch.stack([skew - root, skew + root], 1) / 2  # standardised; their product is -1
    close = spread <= _MAX_SPREAD * center
    weight[:, :2] = torch.where(close[:, None], total[:, None] / (1 + place**2), weight[:, :2])
    node[:, :2] = torch.where(close[:, None], center[:, None] + spread[:, None] * place, node[:, :2])
    num_terms = torch.where(close, torch.full_like(num_terms, 2), num_terms)
    longest = int(num_terms.max())
    return num_terms, weight[:, :longest], node[:, :longest]


@njit(nogil=True, cache=True, error_model="numpy")
def _read_kernel(
    state: Any,
    missed: Any,
    rows: np.ndarray,
    step: int,
    learning_rate: np.float32,
    keep: bool,
    out: np.ndarray,
    start: int,
    stop: int,
) -> None:
    width = out.shape[1]
    root = np.empty(width, dtype=np.float32)
    drift = np.empty(width, dtype=np.float32)
    for position in range(start, stop):
        row = rows[position]
        value, read = state.values[row], out[position]
        if len(missed.which) == 0 or state.last_step[row] == step:
            read[:] = value
            continue
        first, second, distinct = state.first_moment[row], state.second_moment[row], missed.which[position]
        for column in range(width):
            root[column] = np.sqrt(second[column])
            drift[column] = 0
        for term in range(missed.num_terms[distinct]):  # columns innermost: they fill the vector lanes
            weight, epsilon = missed.weight[distinct, term], missed.epsilon[distinct, term]
            for column in range(width):
                drift[column] += weight / (root[column] + epsilon)
        for column in range(width):
            read[column] = value[column] - learning_rate * first[column] * drift[column]
        if keep:
            beta1_decay, beta2_decay = missed.beta1_decay[distinct], missed.beta2_decay[distinct]
            for column in range(width):
                value[column] = read[column]
                first[column] *= beta1_decay
                second[column] *= beta2_decay
            state.last_step[row] = step


@njit(nogil=True, cache=True, error_model="numpy")
def _update_kernel(
    state: Any, rows: np.ndarray, gradient: np.ndarray, step: int, scalars: Any, start: int, stop: int
) -> None:
    rate1, beta2, rate2, step_size, epsilon = scalars
    for position in range(start, stop):
        row = rows[position]
        value, first, second, slope = (
            state.values[row],
            state.first_moment[row],
            state.second_moment[row],
            gradient[position],
        )
        for column in range(gradient.shape[1]):
            m = first[column] + rate1 * (slope[column] - first[column])
            v = beta2 * second[column] + rate2 * slope[column] * slope[column]
            first[column], second[column] = m, v
            value[column] -= step_size * m / (np.sqrt(v) + epsilon)
        state.last_step[row] = step


def _arrays(tensors: Any) -> Any:
    """A named tuple of CPU tensors as the kernels read it: arrays on the same memory."""
    return type(tensors)(*(tensor.numpy() for tensor in tensors))


@functools.cache
def _pool(num_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(num_threads, thread_name_prefix="row_adam")


def _in_threads(kernel: Callable[..., None], num_rows: int, num_threads: int, *arguments: Any) -> None:
    """Runs `kernel(*arguments, start, stop)` over ranges of rows; rows are distinct, so no two write the same."""
    num_ranges = max(1, min(num_threads, num_rows // _MIN_ROWS_PER_THREAD))
    if num_ranges == 1:
        return kernel(*arguments, 0, num_rows)
    bounds = np.linspace(0, num_rows, num_ranges + 1).astype(np.int64).tolist()
    work = [_pool(num_threads).submit(kernel, *arguments, *bound) for bound in itertools.pairwise(bounds)]
    for future in work:
        future.result()
