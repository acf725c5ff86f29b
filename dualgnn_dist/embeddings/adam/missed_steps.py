"""How far a row without gradients has drifted: sums over its missed steps, in a few terms each.

A row at step s with moments m and v, and no gradient since, has moved after n further steps by

    -lr * m * sum_k  w_k / (sqrt(v) + epsilon * r_k)            k = 1 .. n
    r_k = sqrt((1 - beta2^(s+k)) / beta2^k)     w_k = r_k * beta1^k / (1 - beta1^(s+k))

The r_k differ little from one another (beta2 is close to 1), so two terms with the same first four moments, a Gauss
quadrature of the sum, stand for all of them. Where they do differ, in the first steps of a training, the sum is taken
term by term.

After `horizon` steps the momentum is spent and the sum depends on s alone, and hardly on that once beta2^s is small:
such sums are made once, a block of s at a time. Only the `horizon` most recent ones are made anew at every step, so the
cost grows neither with the number of rows nor with the length of the training.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
import torch

from dualgnn_dist.base.kernels import kernel_ieee
from dualgnn_dist.embeddings.config import AdamConfig

_MAX_SPREAD = 0.04  # relative standard deviation of the r_k up to which two terms hold the sum to about 1e-5
_SETTLED = 1e-9  # beta2^s from which on the sums no longer depend on s, in float32 and well below
_BLOCK = 1024


class MissedSteps(NamedTuple):
    """The terms of every sum that a row may need at one step. The entry of a row is `entry_of(...)` its last step.

    Entries 0 to `horizon - 1` go by the number of missed steps, the others by the row's last step.
    """

    horizon: int
    offsets: torch.Tensor  # int64 [entries + 1]: where an entry's terms start
    weight: torch.Tensor  # float32 [terms]: w_k
    epsilon: torch.Tensor  # float32 [terms]: epsilon * r_k
    catches_up: bool  # False: missed steps are not made up
    log_beta1: float  # of the moments' decay over the missed steps
    log_beta2: float


@functools.lru_cache(maxsize=4)  # a step reads and then updates, and there are several tables
def missed_steps(step: int, config: AdamConfig) -> MissedSteps:
    """The terms for rows read at `step`, on the CPU; not to be written to."""
    logarithms = config.log_beta1, config.log_beta2
    if config.rows == "lazy":
        no_terms = torch.zeros(0)
        return MissedSteps(0, torch.zeros(2, dtype=torch.int64), no_terms, no_terms, False, *logarithms)
    last_settled = math.ceil(math.log(_SETTLED) / config.log_beta2)
    num_blocks = max(0, min(step - config.horizon, last_settled)) // _BLOCK + 1
    gaps = np.arange(config.horizon)
    offsets, weight, epsilon = _terms(np.maximum(step - gaps, 0), gaps, *_constants(config))
    settled_offsets, settled_weight, settled_epsilon = _settled(config, num_blocks)
    return MissedSteps(
        config.horizon,
        torch.from_numpy(np.concatenate([offsets, offsets[-1] + settled_offsets[1:]])),
        torch.from_numpy(np.concatenate([weight, settled_weight])),
        torch.from_numpy(np.concatenate([epsilon, settled_epsilon])),
        True,
        *logarithms,
    )


@functools.lru_cache(maxsize=16)
def _settled(config: AdamConfig, num_blocks: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sums over `horizon` missed steps for last steps from 0 on."""
    start = np.arange(num_blocks * _BLOCK)
    return _terms(start, np.full(len(start), config.horizon), *_constants(config))


def _constants(config: AdamConfig) -> tuple[float, float, float]:
    return config.beta1, config.beta2, config.epsilon


@kernel_ieee
def entry_of(last_step: int, step: int, horizon: int, num_entries: int) -> int:
    """Where the terms of a row are found."""
    gap = step - last_step
    return gap if gap < horizon else min(horizon + last_step, num_entries - 1)


@kernel_ieee
def _terms(
    start: np.ndarray, gap: np.ndarray, beta1: float, beta2: float, epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets, weights and epsilons of the sums over `gap` steps after `start`."""
    offsets = np.zeros(len(start) + 1, dtype=np.int64)
    weights, epsilons = np.empty(gap.sum(), dtype=np.float32), np.empty(gap.sum(), dtype=np.float32)
    longest = gap.max() if len(gap) else 0
    weight, node = np.empty(longest), np.empty(longest)
    for entry in range(len(start)):
        _exact_terms(start[entry], gap[entry], beta1, beta2, weight, node)
        num_terms = _in_two_terms(weight, node, gap[entry])
        first = offsets[entry]
        for term in range(num_terms):
            weights[first + term] = weight[term]
            epsilons[first + term] = epsilon * node[term]
        offsets[entry + 1] = first + num_terms
    return offsets, weights[: offsets[-1]].copy(), epsilons[: offsets[-1]].copy()


@kernel_ieee
def _exact_terms(start: int, gap: int, beta1: float, beta2: float, weight: np.ndarray, node: np.ndarray) -> None:
    power1, power2 = beta1**start, beta2**start  # beta^(s+k); it is far from 1, so that 1 less it is exact enough
    decay1 = decay2 = 1.0  # beta^k
    for k in range(gap):
        power1, power2, decay1, decay2 = power1 * beta1, power2 * beta2, decay1 * beta1, decay2 * beta2
        node[k] = math.sqrt((1 - power2) / decay2)
        weight[k] = node[k] * decay1 / (1 - power1)


@kernel_ieee
def _in_two_terms(weight: np.ndarray, node: np.ndarray, num_terms: int) -> int:
    """Replaces the terms, where the nodes lie close together, by their two-point Gauss quadrature; how many are left.

    Let t be the nodes, shifted and stretched to mean 0 and variance 1 under the weights, and s their third moment. The
    polynomial of degree 2 that is orthogonal to 1 and t is t^2 - s t - 1. Its roots are the two nodes, and a root t has
    the share 1 / (1 + t^2) of the weight: moments 0 to 3 are those of all terms.
    """
    if num_terms <= 2:
        return num_terms
    total = mean = variance = skew = 0.0
    for k in range(num_terms):
        total += weight[k]
        mean += weight[k] * node[k]
    total = max(total, 1e-300)
    mean /= total
    for k in range(num_terms):
        off_mean = node[k] - mean
        variance += weight[k] * off_mean**2
        skew += weight[k] * off_mean**3
    deviation = max(math.sqrt(variance / total), 1e-30)
    if deviation > _MAX_SPREAD * mean:
        return num_terms
    skew /= total * deviation**3
    discriminant = math.sqrt(skew**2 + 4)
    for term, root in ((0, (skew - discriminant) / 2), (1, (skew + discriminant) / 2)):
        weight[term], node[term] = total / (1 + root**2), mean + deviation * root
    return 2
