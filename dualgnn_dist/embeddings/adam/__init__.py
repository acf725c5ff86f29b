"""Adam on the rows of an embedding table that a step touches, at a cost of those rows only.

Dense Adam moves every row at every step: a row without a gradient still follows its momentum while its moments decay.
`lazy` leaves such rows alone (`torch.optim.SparseAdam`). `catch_up` gives dense Adam's values: a row remembers the step
it stands at, and its missed steps are made up at once, in what is read and when it is next updated.

Two implementations: plain torch for any device, and Numba kernels for float32 rows in CPU memory.

state         what is kept of every row
missed_steps  how far a row has drifted that no step touched
kernels       reading and updating rows in CPU memory
torch_rows    the same in torch, for any device
"""

from __future__ import annotations

import numpy as np
import torch

from dualgnn_dist.base.process import in_threads
from dualgnn_dist.embeddings.adam import kernels, torch_rows
from dualgnn_dist.embeddings.adam.missed_steps import missed_steps
from dualgnn_dist.embeddings.adam.state import RowState
from dualgnn_dist.embeddings.config import AdamConfig

__all__ = ["RowState", "read_rows", "update_rows"]


def read_rows(
    state: RowState,
    rows: torch.Tensor,
    step: int,
    config: AdamConfig,
    num_threads: int = 1,
    *,
    out: torch.Tensor | None = None,
    places: torch.Tensor | None = None,
) -> torch.Tensor:
    """`rows` as they are after `step` steps of the table. The state is left as it is.

    Ascending rows are read fastest.

    Args:
        rows: int64 [n], on the state's device.
        out: where to put them; a new [n, width] by default.
        places: int64 [n], distinct: the row of `out` for each of `rows`; one after another by default.

    Returns:
        `out`, like the state's values.
    """
    if out is None:
        out = state.values.new_empty((len(rows), state.values.shape[1]))
    if not state.has_kernels:
        return torch_rows.read_rows(state, rows, step, config, out, places)
    _check(rows, state)
    in_threads(
        kernels.read,
        len(rows),
        num_threads,
        kernels.arrays(state),
        kernels.arrays(missed_steps(step, config)),
        rows.numpy(),
        (torch.arange(len(rows)) if places is None else places).numpy(),
        step,
        np.float32(config.rate),
        out.numpy(),
    )
    return out


def update_rows(
    state: RowState,
    rows: torch.Tensor,
    gradients: tuple[torch.Tensor, torch.Tensor],
    sources: torch.Tensor,
    step: int,
    config: AdamConfig,
    num_threads: int = 1,
    *,
    scale: float = 1.0,
) -> None:
    """One Adam step, the table's `step`-th (from 1), on `rows`, in place.

    Args:
        rows: int64 [n], on the state's device. A row may come several times, side by side: its gradients are added up
            in that order.
        gradients: two float32 [.., width] on the state's device, read as one below the other: what this worker has
            itself and what the others sent lie in different memory.
        sources: int64 [n], the row of the gradients for each of `rows`.
        scale: what the sums of the gradients are multiplied by.
    """
    if not state.has_kernels:
        return torch_rows.update_rows(state, rows, gradients, sources, config, config.at(step, scale))
    _check(rows, state)
    in_threads(
        kernels.update,
        len(rows),
        num_threads,
        kernels.arrays(state),
        kernels.arrays(missed_steps(step - 1, config)),
        rows.numpy(),
        tuple(gradient.contiguous().numpy() for gradient in gradients),
        sources.numpy(),
        config.at(step, scale).in_float32(),
    )


def _check(rows: torch.Tensor, state: RowState) -> None:
    assert len(rows) == 0 or (int(rows.min()) >= 0 and int(rows.max()) < len(state.values)), "row out of range"
