"""The same in torch operations, for any device: the kernels' slow twin."""

from __future__ import annotations

import torch

from dualgnn_dist.embeddings.adam.missed_steps import missed_steps
from dualgnn_dist.embeddings.adam.state import RowState
from dualgnn_dist.embeddings.config import AdamConfig, StepScalars


def read_rows(
    state: RowState,
    rows: torch.Tensor,
    step: int,
    config: AdamConfig,
    out: torch.Tensor,
    places: torch.Tensor | None,
) -> torch.Tensor:
    """See `adam.read_rows`."""
    values = state.values[rows]
    values -= config.rate * state.first_moment[rows] * _drift(state, rows, step, config)
    return out.copy_(values) if places is None else out.index_copy_(0, places, values)


def update_rows(
    state: RowState,
    rows: torch.Tensor,
    gradients: tuple[torch.Tensor, torch.Tensor],
    sources: torch.Tensor,
    config: AdamConfig,
    scalars: StepScalars,
) -> None:
    """See `adam.update_rows`."""
    rows, gradient = _add_up(rows, torch.cat(gradients)[sources])
    gradient *= scalars.scale
    values, first, second = state.values[rows], state.first_moment[rows], state.second_moment[rows]
    if config.rows == "catch_up":
        values -= scalars.learning_rate * first * _drift(state, rows, scalars.step - 1, config)
        gap = (scalars.step - 1 - state.last_step[rows]).double()[:, None]
        first *= torch.exp(config.log_beta1 * gap).float()
        second *= torch.exp(config.log_beta2 * gap).float()
    first.lerp_(gradient, scalars.rate1)
    second.mul_(scalars.beta2).addcmul_(gradient, gradient, value=scalars.rate2)
    state.values[rows] = values - scalars.step_size * first / (second.sqrt() + scalars.epsilon)
    state.first_moment[rows], state.second_moment[rows] = first, second
    state.last_step[rows] = scalars.step


def _add_up(rows: torch.Tensor, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Distinct rows and the sums of their gradients.

    The second gradients of all rows are added to the first, then the third: no row is added to twice at once, so the
    sums are the same every time, on CUDA too.
    """
    distinct, counts = torch.unique_consecutive(rows, return_counts=True)
    first = counts.cumsum(0) - counts
    total = gradient[first]
    for place in range(1, int(counts.max()) if len(counts) else 0):
        more = (counts > place).nonzero().squeeze(1)
        total[more] += gradient[first[more] + place]
    return distinct, total


def _drift(state: RowState, rows: torch.Tensor, step: int, config: AdamConfig) -> torch.Tensor:
    """The sum of every row's terms, [rows, width]."""
    last_step, root = state.last_step[rows].long(), state.second_moment[rows].sqrt()
    drift = torch.zeros_like(root)
    missed = missed_steps(step, config)
    if not missed.catches_up:
        return drift
    offsets, weights, epsilons = (t.to(rows.device) for t in (missed.offsets, missed.weight, missed.epsilon))
    gap = step - last_step
    entry = torch.where(gap < missed.horizon, gap, (last_step + missed.horizon).clamp(max=len(offsets) - 2))
    num_terms = (offsets[entry + 1] - offsets[entry]) * ((last_step > 0) & (gap > 0))
    for term in range(int(num_terms.max()) if len(rows) else 0):
        live = (num_terms > term).nonzero().squeeze(1)
        place = offsets[entry[live]] + term
        drift[live] += weights[place, None] / (root[live] + epsilons[place, None])
    return drift
