"""Where embedding rows lie, and Adam's settings: the `tables` and `optimizer` sections of a config."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from dualgnn_dist.base.config import setting

_NEGLIGIBLE = 1e-7  # momentum left of a row after which its further drift is below float32's resolution


@dataclass(frozen=True, kw_only=True)
class TablesConfig:
    """Where embedding rows and their optimizer state lie.

    Args:
        device: `worker` is the worker's own device; `host` its main memory, for tables that a GPU cannot hold.
    """

    device: Literal["worker", "host"] = setting("worker", decides="place")


class StepScalars(NamedTuple):
    """The numbers of one update, beside the gradients: see `AdamConfig.at`."""

    step: int
    learning_rate: float
    rate1: float  # 1 - beta1, the gradient's share of the first moment
    beta2: float
    rate2: float  # 1 - beta2
    step_size: float  # a and e such that a row moves by -a * m / (sqrt(v) + e)
    epsilon: float
    scale: float  # of the summed gradients

    def in_float32(self) -> StepScalars:
        """As the kernels compute."""
        return StepScalars(self.step, *map(np.float32, self[1:]))  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class AdamConfig:
    """Adam, for dense weights and table rows alike.

    Args:
        learning_rate: null takes the model's own.
        beta1: decay of the mean of gradients, a step.
        beta2: decay of the mean of squared gradients, a step.
        epsilon: added to the root of the latter before it divides.
        rows: `catch_up` gives untouched rows the moment decay and the momentum that dense Adam would have given them,
            when they are next read; `lazy` leaves them as they were, as `torch.optim.SparseAdam` does.

    Raises:
        ValueError: a setting outside its range.
    """

    learning_rate: float | None = None
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    rows: Literal["catch_up", "lazy"] = "catch_up"

    def __post_init__(self) -> None:
        if self.learning_rate is not None and not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be above 0, not {self.learning_rate}")
        if not (0 <= self.beta1 < 1 and 0 < self.beta2 < 1):
            raise ValueError(
                f"beta1={self.beta1} and beta2={self.beta2}: beta1 and beta2 must lie in [0, 1), beta2 above 0"
            )
        if self.beta1**2 >= self.beta2:
            raise ValueError(
                f"beta1={self.beta1} must be below sqrt(beta2)={math.sqrt(self.beta2):.4g}: otherwise a row without "
                "gradients never comes to rest"
            )
        if not self.epsilon > 0:
            raise ValueError(f"epsilon={self.epsilon} must be above 0: rows start with second moments of 0")

    @property
    def rate(self) -> float:
        """The learning rate, where it is known: a run's config has taken over the model's own."""
        assert self.learning_rate is not None
        return self.learning_rate

    @property
    def horizon(self) -> int:
        """Steps after which momentum is spent."""
        return math.ceil(math.log(_NEGLIGIBLE) / math.log(self.beta1)) if self.beta1 > 0 else 0

    @property
    def log_beta1(self) -> float:
        """For powers of beta1; finite for 0 too."""
        return math.log(max(self.beta1, 1e-300))

    @property
    def log_beta2(self) -> float:
        """For powers of beta2."""
        return math.log(self.beta2)

    def at(self, step: int, scale: float = 1.0) -> StepScalars:
        """The numbers of update `step` (from 1). SparseAdam adds its epsilon before the second moment's correction."""
        correction = math.sqrt(1 - self.beta2**step)
        step_size = self.rate * correction / (1 - self.beta1**step)
        epsilon = self.epsilon * (correction if self.rows == "catch_up" else 1.0)
        return StepScalars(step, self.rate, 1 - self.beta1, self.beta2, 1 - self.beta2, step_size, epsilon, scale)
