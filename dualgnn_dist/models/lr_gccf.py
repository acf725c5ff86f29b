"""LR-GCCF: linear propagation with self-loops, the layers side by side.

Chen, Wu, Hong, Zhang, Wang, "Revisiting Graph Based Collaborative Filtering: A Linear Residual Graph Convolutional
Network Approach", AAAI 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dualgnn_dist.base.batch import Sizes
from dualgnn_dist.base.table_part import Normal, TablePart
from dualgnn_dist.models.contract import ModelConfig, Nodes, Picked
from dualgnn_dist.models.id_model import IdModel
from dualgnn_dist.models.losses import bpr_of


@dataclass(frozen=True, kw_only=True)
class LRGCCFConfig(ModelConfig):
    """LR-GCCF's own settings.

    Args:
        width: d of the id tables; a representation has (num_layers + 1) d.
        num_layers: L, hops of propagation.
        regularization: of the squared representations of each triple.
    """

    num_layers: int = 3


class LRGCCF(IdModel):
    """The concatenation of layers 0..L of `x_{l+1} = A' x_l` over id tables. No dense weights.

    A' has self-loops: weights `1 / sqrt((deg n + 1) (deg t + 1))`, and `1 / (deg n + 1)` from a node to itself.
    """

    Config = LRGCCFConfig
    config: LRGCCFConfig

    def __init__(self, config: LRGCCFConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.num_hops = config.num_layers

    def part(self, width: int) -> TablePart:
        """N(0, 0.01)."""
        return TablePart(width, Normal(0.01))

    def source_weight(self, degrees: Tensor) -> Tensor:
        """`1 / sqrt(deg + 1)`."""
        return (degrees + 1).rsqrt()

    def layer(self, index: int, x: Tensor, neighbors: Tensor, nodes: Nodes) -> Tensor:
        """The neighbours' weighted sum and the node's own share, [n, d]."""
        return neighbors + x / (nodes.degrees + 1).unsqueeze(1)

    def readout(self, layers: list[Tensor]) -> Tensor:
        """The layers side by side, [n, (L + 1) d]."""
        return torch.cat(layers, dim=1)

    def loss(self, users: Picked, positives: Picked, negatives: Picked) -> Tensor:
        """BPR plus the squared norm of the triple's representations."""
        norms = sum(picked.representation.square().sum(-1) for picked in (users, positives, negatives))
        return bpr_of(users, positives, negatives) + self.config.regularization * norms
