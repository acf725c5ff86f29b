"""The Numba kernels: each row is touched once, columns innermost, since they fill the vector lanes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from dualgnn_dist.base.kernels import kernel_ieee
from dualgnn_dist.embeddings.adam.missed_steps import entry_of
from dualgnn_dist.embeddings.config import StepScalars


@kernel_ieee
def read(
    state: Any,
    missed: Any,
    rows: np.ndarray,
    places: np.ndarray,
    step: int,
    learning_rate: np.float32,
    out: np.ndarray,
    start: int,
    stop: int,
) -> None:
    """Puts `rows[start:stop]`, with their missed steps made up, at `places[start:stop]` of `out`."""
    width = out.shape[1]
    root, drift = np.empty(width, dtype=np.float32), np.empty(width, dtype=np.float32)
    for position in range(start, stop):
        row = rows[position]
        value, target, last_step = state.values[row], out[places[position]], state.last_step[row]
        if not missed.catches_up or last_step == 0 or last_step == step:
            for column in range(width):
                target[column] = value[column]
            continue
        first = state.first_moment[row]
        _sum_terms(missed, last_step, step, state.second_moment[row], root, drift)
        for column in range(width):
            target[column] = value[column] - learning_rate * first[column] * drift[column]


@kernel_ieee
def update(
    state: Any,
    missed: Any,
    rows: np.ndarray,
    gradients: Any,
    sources: np.ndarray,
    scalars: StepScalars,
    start: int,
    stop: int,
) -> None:
    """One Adam step on the rows whose first place in `rows` lies in `start` to `stop`."""
    step, learning_rate, rate1, beta2, rate2, step_size, epsilon, scale = scalars
    width = state.values.shape[1]
    root, drift = np.empty(width, dtype=np.float32), np.empty(width, dtype=np.float32)
    slope = np.empty(width, dtype=np.float32)
    for position in range(start, stop):
        row = rows[position]
        if position > 0 and rows[position - 1] == row:
            continue
        _add_up(rows, gradients, sources, position, slope)
        value, first, second = state.values[row], state.first_moment[row], state.second_moment[row]
        last_step = state.last_step[row]
        if missed.catches_up and 0 < last_step < step - 1:
            _sum_terms(missed, last_step, step - 1, second, root, drift)
            gap = step - 1 - last_step
            decay1, decay2 = np.float32(math.exp(missed.log_beta1 * gap)), np.float32(math.exp(missed.log_beta2 * gap))
            for column in range(width):
                value[column] -= learning_rate * first[column] * drift[column]
                first[column] *= decay1
                second[column] *= decay2
        for column in range(width):
            gradient = slope[column] * scale
            m = first[column] + rate1 * (gradient - first[column])
            v = beta2 * second[column] + rate2 * gradient * gradient
            first[column], second[column] = m, v
            value[column] -= step_size * m / (np.sqrt(v) + epsilon)
        state.last_step[row] = step


@kernel_ieee
def _sum_terms(missed: Any, last_step: int, step: int, second: np.ndarray, root: np.ndarray, drift: np.ndarray) -> None:
    """Fills `drift` with the sum of the row's terms."""
    for column in range(len(drift)):
        root[column] = np.sqrt(second[column])
        drift[column] = 0
    entry = entry_of(last_step, step, missed.horizon, len(missed.offsets) - 1)
    for term in range(missed.offsets[entry], missed.offsets[entry + 1]):
        weight, epsilon = missed.weight[term], missed.epsilon[term]
        for column in range(len(drift)):
            drift[column] += weight / (root[column] + epsilon)


@kernel_ieee
def _add_up(rows: np.ndarray, gradients: Any, sources: np.ndarray, position: int, slope: np.ndarray) -> None:
    """Fills `slope` with the sum of the gradients of the row at `position`, which stand side by side."""
    num_own = len(gradients[0])
    for other in range(position, len(rows)):
        if rows[other] != rows[position]:
            break
        source = sources[other]
        gradient = gradients[0][source] if source < num_own else gradients[1][source - num_own]
        for column in range(len(slope)):
            slope[column] = gradient[column] + (slope[column] if other > position else np.float32(0))


def arrays(tensors: Any) -> Any:
    """A named tuple of CPU tensors as the kernels read it: arrays on the same memory."""
    return type(tensors)(*(field.numpy() if isinstance(field, torch.Tensor) else field for field in tensors))
