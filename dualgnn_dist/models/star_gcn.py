"""STAR-GCN: blocks of propagation and reconstruction that share their maps, each block ranked by a loss of its own.

Zhang, Shi, Zhao, King, "STAR-GCN: Stacked and Reconstructed Graph Convolutional Networks for Recommender Systems",
IJCAI 2019; in the form that the DualGNN paper compares with.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from dualgnn_dist.base.batch import Sizes
from dualgnn_dist.models.contract import ModelConfig, Nodes, Picked
from dualgnn_dist.models.id_model import IdModel
from dualgnn_dist.models.losses import bpr, squared_norm, weight_norm

SLOPE = 0.1


@dataclass(frozen=True, kw_only=True)
class STARGCNConfig(ModelConfig):
    """STAR-GCN's own settings.

    Args:
        num_blocks: each is one layer of propagation; all share the maps.
        regularization: of the squared table rows of each triple, and of the squared maps.
    """

    num_blocks: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_blocks < 1:
            raise ValueError("num_blocks must be at least 1: the maps would learn nothing")


class STARGCN(IdModel):
    """`x_{l+1} = W_4 leaky(W_3 W_h leaky(A x_l))`, slope 0.1; the last block's output."""

    Config = STARGCNConfig
    config: STARGCNConfig

    def __init__(self, config: STARGCNConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.num_hops = config.num_blocks
        self.encode = nn.Linear(config.width, config.width, bias=False)  # W_h
        self.hidden = nn.Linear(config.width, config.width, bias=False)  # W_3
        self.decode = nn.Linear(config.width, config.width, bias=False)  # W_4

    def layer(self, index: int, x: Tensor, neighbors: Tensor, nodes: Nodes) -> Tensor:
        """The output of block `index`, [n, d]."""
        hidden = self.hidden(self.encode(functional.leaky_relu(neighbors, SLOPE)))
        return self.decode(functional.leaky_relu(hidden, SLOPE))

    def readout(self, layers: list[Tensor]) -> Tensor:
        """The last block's output, [n, d]."""
        return layers[-1]

    def loss(self, users: Picked, positives: Picked, negatives: Picked) -> Tensor:
        """The mean of the BPR of every block, plus the squared norms of the triple's table rows and of the maps."""
        triple = (users, positives, negatives)
        blocks = [bpr(*(picked.layer(index) for picked in triple)) for index in range(1, self.num_hops + 1)]
        norms = sum(squared_norm(picked.rows) for picked in triple) + weight_norm(self.parameters())
        return torch.stack(blocks).mean(0) + self.config.regularization * norms
