"""LightGCN: propagation and nothing else.

He, Deng, Wang, Li, Zhang, Wang, "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation",
SIGIR 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from dualgnn_dist.models.contract import Recommender, Rows
from dualgnn_dist.models.losses import bpr, squared_norm
from dualgnn_dist.parts import TablePart, xavier_uniform
from dualgnn_dist.types import Feature, Sizes


@dataclass(frozen=True, kw_only=True)
class LightGCNConfig:
    """LightGCN's own settings.

    Args:
        width: d of the id tables.
        num_layers: L.
        regularization: of half the squared layer-0 rows of each triple.
    """

    width: int = 64
    num_layers: int = 2
    regularization: float = 1e-4

    def __post_init__(self) -> None:
        if self.width < 1 or self.num_layers < 0 or self.regularization < 0:
            raise ValueError("width must be at least 1; num_layers and regularization not negative")


class LightGCN(Recommender):
    """The mean of layers 0..L of `A^l x` over id tables. No dense weights."""

    Config = LightGCNConfig
    config: LightGCNConfig

    def __init__(self, config: LightGCNConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.num_hops = config.num_layers
        self.user_parts = {"embedding": TablePart(config.width, xavier_uniform)}
        self.item_parts = {"embedding": TablePart(config.width, xavier_uniform)}

    def user_inputs(self, rows: Rows) -> Tensor:
        """The table rows, [u, d]."""
        return rows["embedding"]

    def item_inputs(self, rows: Rows, features: Mapping[str, Feature]) -> Tensor:
        """The table rows, [i, d]."""
        return rows["embedding"]

    def readout_users(self, layers: list[Tensor], rows: Rows) -> Tensor:
        """The mean over layers, [u, d]."""
        return torch.stack(layers).mean(0)

    def readout_items(self, layers: list[Tensor], rows: Rows) -> Tensor:
        """The mean over layers, [i, d]."""
        return torch.stack(layers).mean(0)

    def loss(
        self, positive_scores: Tensor, negative_scores: Tensor, users: Rows, positives: Rows, negatives: Rows
    ) -> Tensor:
        """BPR plus half the squared norm of the triple's table rows."""
        norms = sum(squared_norm(rows, positive_scores) for rows in (users, positives, negatives))
        return bpr(positive_scores, negative_scores) + 0.5 * self.config.regularization * norms
