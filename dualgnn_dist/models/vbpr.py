"""VBPR: matrix factorisation whose items have a second half made of their content.

He, McAuley, "VBPR: Visual Bayesian Personalized Ranking from Implicit Feedback", AAAI 2016; with a two-layer map of all
modalities side by side, as the DualGNN paper compares with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dualgnn_dist.base.batch import Feature, Sizes
from dualgnn_dist.base.table_part import TablePart, xavier_normal
from dualgnn_dist.models.content import Content, two_layer_map
from dualgnn_dist.models.contract import ModelConfig, Picked, Recommender, Rows
from dualgnn_dist.models.losses import bpr_of, squared_norm, weight_norm


@dataclass(frozen=True, kw_only=True)
class VBPRConfig(ModelConfig):
    """VBPR's own settings.

    Args:
        width: d of an item's table row and of its content; a representation has 2 d.
        regularization: of the squared table rows of each triple, and of the map's squared weights.
    """


class VBPR(Recommender):
    """Users: rows of 2 d. Items: `[row, f(features)]`, f from all modalities side by side; no graph.

    A modality that an item misses enters f as zeros; an item that misses all of them has zeros for f.
    """

    Config = VBPRConfig
    config: VBPRConfig
    needs_content = True

    def __init__(self, config: VBPRConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.user_parts = {"embedding": TablePart(2 * config.width, xavier_normal)}
        self.item_parts = {"embedding": TablePart(config.width, xavier_normal)}
        contents = {name: Content(modality, config.width) for name, modality in sizes.modalities.items()}
        self.contents = nn.ModuleDict(contents)
        # A last bias would be the same for every item: it cancels in the loss, and Adam would blow up its rounding.
        input_width = sum(content.width for content in contents.values())
        self.map = two_layer_map(input_width, config.width, last_bias=False)

    def user_inputs(self, rows: Rows) -> Tensor:
        """The table rows, [u, 2 d]."""
        return rows["embedding"]

    def item_inputs(self, rows: Rows, features: Mapping[str, Feature]) -> Tensor:
        """The table row and the mapped content side by side, [i, 2 d]."""
        content = self.map(torch.cat([self.contents[name](features[name]) for name in self.modalities], dim=1))
        present = torch.stack([features[name].present for name in self.modalities]).any(0)
        return torch.cat([rows["embedding"], content * present.unsqueeze(1)], dim=1)

    def readout_users(self, layers: list[Tensor], rows: Rows) -> Tensor:
        """The table rows, [u, 2 d]."""
        return layers[0]

    def readout_items(self, layers: list[Tensor], rows: Rows) -> Tensor:
        """See `item_inputs`, [i, 2 d]."""
        return layers[0]

    def loss(self, users: Picked, positives: Picked, negatives: Picked) -> Tensor:
        """BPR plus the squared norms of the triple's table rows and of the map's weight matrices."""
        norms = sum(squared_norm(picked.rows) for picked in (users, positives, negatives))
        weights = weight_norm(layer.weight for layer in self.map if isinstance(layer, nn.Linear))
        return bpr_of(users, positives, negatives) + self.config.regularization * (norms + weights)
