"""DualGNN: one propagation a modality, personal weights of the modalities, preferences smoothed over co-users.

Wang, Wei, Yin, Wu, Song, Nie, "DualGNN: Dual Graph Neural Network for Multimedia Recommendation", IEEE Transactions on
Multimedia 25 (2023) 1074-1084. The propagations of all M modalities share one structure: they are one product of width
M d.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from dualgnn_dist.base.batch import Feature, Sizes
from dualgnn_dist.base.table_part import TablePart, softmax_of_xavier_normal, xavier_normal
from dualgnn_dist.models.co_users import CoUsers, Weighting
from dualgnn_dist.models.content import ItemTower
from dualgnn_dist.models.contract import ModelConfig, Picked, Recommender, Rows
from dualgnn_dist.models.losses import bpr_of, mean_square, to_base_2
from dualgnn_dist.models.unit_vectors import unit_vectors

Fusion = Literal["weighted_sum", "mean", "max", "concat_mlp"]


@dataclass(frozen=True, kw_only=True)
class DualGNNConfig(ModelConfig):
    """DualGNN's own settings; the published values are the defaults.

    Args:
        width: d of each modality.
        num_layers: of single-modal propagation.
        fusion: how a user's modalities become one vector.
        max_co_users: K, the heaviest co-users that are aggregated; 0 leaves the co-occurrence graph out.
        neighbor_weighting: how co-users are weighed by their counts.
        regularization: lambda, of the batch users' preferences and fusion weights.
    """

    num_layers: int = 2
    fusion: Fusion = "weighted_sum"
    max_co_users: int = 40
    neighbor_weighting: Weighting = "softmax"
    regularization: float = 0.1


class DualGNN(Recommender):
    """The formulas stand at the methods. Legend: M modalities, d width; a layer is [n, M d], modality by modality."""

    Config = DualGNNConfig
    learning_rate = 1e-4
    needs_content = True
    config: DualGNNConfig

    def __init__(self, config: DualGNNConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.num_hops = config.num_layers
        self.user_parts = {f"preference_{name}": TablePart(config.width, xavier_normal) for name in self.modalities}
        if config.fusion != "mean":  # the mean has no weights: a parameter that no loss reaches is not made
            self.user_parts["fusion"] = TablePart(len(self.modalities), softmax_of_xavier_normal)
        if config.max_co_users > 0:
            self.co_users = CoUsers(config.max_co_users, config.neighbor_weighting)
        self.towers = nn.ModuleDict({name: ItemTower(sizes.modalities[name], config.width) for name in self.modalities})
        if config.fusion == "concat_mlp":
            self.mix = nn.Linear(len(self.modalities) * config.width, config.width)

    def user_inputs(self, rows: Rows) -> Tensor:
        """`x_m(u) = normalize(P_m[u])`, [u, M d]."""
        return unit_vectors([rows[f"preference_{name}"] for name in self.modalities])

    def item_inputs(self, rows: Rows, features: Mapping[str, Feature]) -> Tensor:
        """`x_m(i) = normalize(f_m(feature))`, zero where the item misses m, [i, M d]."""
        present = torch.stack([features[name].present for name in self.modalities], dim=1)
        return unit_vectors([self.towers[name](features[name]) for name in self.modalities], present)

    def readout_users(self, layers: list[Tensor], rows: Rows) -> Tensor:
        """`g(u)`, [u, d]: the sum of the layers, then the user's fusion of its modalities."""
        by_modality = self._by_modality(layers)
        if self.config.fusion == "mean":
            return by_modality.mean(1)
        weighted = by_modality * rows["fusion"].unsqueeze(2)
        if self.config.fusion == "max":
            return weighted.amax(1)
        return self.mix(weighted.flatten(1)) if self.config.fusion == "concat_mlp" else weighted.sum(1)

    def readout_items(self, layers: list[Tensor], rows: Rows) -> Tensor:
        """`z(i)`, [i, d]: the sum over layers and modalities."""
        return self._by_modality(layers).sum(1)

    def loss(self, users: Picked, positives: Picked, negatives: Picked) -> Tensor:
        """BPR to base 2, plus lambda times the mean squares of the user's preferences and fusion weights."""
        penalty = torch.stack([mean_square(part) for part in users.rows.values()]).sum(0)
        return to_base_2(bpr_of(users, positives, negatives)) + self.config.regularization * penalty

    def modality_weights(self, rows: Rows) -> Tensor | None:
        """`w[u, m]`, [u, M]; None for the mean, which has no weights."""
        return rows.get("fusion")

    def _by_modality(self, layers: list[Tensor]) -> Tensor:
        """The sum over layers, [n, M, d]."""
        return torch.stack(layers).sum(0).view(len(layers[0]), len(self.modalities), self.config.width)
