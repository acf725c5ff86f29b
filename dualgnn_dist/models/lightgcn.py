"""LightGCN: propagation and nothing else.

He, Deng, Wang, Li, Zhang, Wang, "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation",
SIGIR 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dualgnn_dist.base.batch import Sizes
from dualgnn_dist.models.contract import ModelConfig, Picked
from dualgnn_dist.models.id_model import IdModel
from dualgnn_dist.models.losses import bpr_of, squared_norm


@dataclass(frozen=True, kw_only=True)
class LightGCNConfig(ModelConfig):
    """LightGCN's own settings.

    Args:
        num_layers: L, hops of propagation.
        regularization: of half the squared layer-0 rows of each triple.
    """

    num_layers: int = 2


class LightGCN(IdModel):
    """The mean of layers 0..L of `A^l x` over id tables. No dense weights."""

    Config = LightGCNConfig
    config: LightGCNConfig

    def __init__(self, config: LightGCNConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.num_hops = config.num_layers

    def readout(self, layers: list[Tensor]) -> Tensor:
        """The mean over layers, [n, d]."""
        return torch.stack(layers).mean(0)

    def loss(self, users: Picked, positives: Picked, negatives: Picked) -> Tensor:
        """BPR plus half the squared norm of the triple's table rows."""
        norms = sum(squared_norm(picked.rows) for picked in (users, positives, negatives))
        return bpr_of(users, positives, negatives) + 0.5 * self.config.regularization * norms
