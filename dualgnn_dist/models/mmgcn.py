"""MMGCN: one graph convolution a modality, tied together by an id table of users and items.

Wei, Wang, Nie, He, Hong, Chua, "MMGCN: Multi-modal Graph Convolution Network for Personalized Recommendation of
Micro-video", MM 2019. As in its released code, layer 0 is normalised row by row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from dualgnn_dist.base.batch import Feature, Modality, Sizes
from dualgnn_dist.base.table_part import TablePart, xavier_normal
from dualgnn_dist.models.content import Content
from dualgnn_dist.models.contract import ModelConfig, Nodes, Picked, Recommender, Rows
from dualgnn_dist.models.losses import bpr_of, squared_norm
from dualgnn_dist.models.unit_vectors import unit_vectors


@dataclass(frozen=True, kw_only=True)
class MMGCNConfig(ModelConfig):
    """MMGCN's own settings.

    Args:
        width: d of the id table and of the layers.
        num_layers: of each modality's convolution.
        latent_width: modalities that are wider are mapped to this width first; null maps none. It is also the width of
            the users' preferences in such a modality.
        combine: how a layer joins what comes from the neighbours with what comes from the node itself.
        regularization: of the squared id rows and preferences of each triple.
    """

    num_layers: int = 3
    latent_width: int | None = 256
    combine: Literal["sum", "concat"] = "sum"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_layers < 1 or self.latent_width == 0:
            raise ValueError("num_layers and latent_width must be at least 1; latent_width may be null")


class MMGCN(Recommender):
    """The formulas stand at the methods. Legend: M modalities; X the widths of all modalities together, layer by layer.

    The mean over neighbours is an unbiased estimate layer by layer; what the leaky ReLUs make of it is not.
    """

    Config = MMGCNConfig
    config: MMGCNConfig
    needs_content = True

    def __init__(self, config: MMGCNConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.num_hops = config.num_layers
        inputs = {name: _Input(sizes.modalities[name], config) for name in self.modalities}
        widths = {name: made.width for name, made in inputs.items()}
        self.inputs = nn.ModuleDict(inputs)
        self.convolutions = nn.ModuleDict({name: _Convolutions(width, config) for name, width in widths.items()})
        identity = TablePart(config.width, xavier_normal)
        preferences = {f"preference_{name}": TablePart(width, xavier_normal) for name, width in widths.items()}
        self.user_parts = {"identity": identity, **preferences}
        self.item_parts = {"identity": identity}

    def user_inputs(self, rows: Rows) -> Tensor:
        """`x_m(u) = normalize(P_m[u])`, [u, X]."""
        return torch.cat([unit_vectors([rows[f"preference_{name}"]]) for name in self.modalities], dim=1)

    def item_inputs(self, rows: Rows, features: Mapping[str, Feature]) -> Tensor:
        """`x_m(i) = normalize(feature or its map)`, zero where the item misses m, [i, X]."""
        return torch.cat([self.inputs[name](features[name]) for name in self.modalities], dim=1)

    def source_weight(self, degrees: Tensor) -> Tensor:
        """1: a layer takes the mean over the neighbours."""
        return (degrees > 0).to(degrees.dtype)

    def target_weight(self, degrees: Tensor) -> Tensor:
        """`1 / deg`, 0 for isolated nodes."""
        return (degrees > 0) / degrees.clamp(min=1)

    def layer(self, index: int, x: Tensor, neighbors: Tensor, nodes: Nodes) -> Tensor:
        """Every modality's convolution, [n, M d]."""
        layers: list[_Convolution] = [self.convolutions[name].layers[index - 1] for name in self.modalities]  # type: ignore[misc,index]
        widths = [layer.width for layer in layers]
        parts = zip(layers, x.split(widths, 1), neighbors.split(widths, 1), strict=True)
        return torch.cat([layer(own, mean, nodes.rows["identity"]) for layer, own, mean in parts], dim=1)

    def readout_users(self, layers: list[Tensor], rows: Rows) -> Tensor:
        """The mean over modalities of the last layer, [u, d]."""
        return self._mean(layers[-1])

    def readout_items(self, layers: list[Tensor], rows: Rows) -> Tensor:
        """The mean over modalities of the last layer, [i, d]."""
        return self._mean(layers[-1])

    def loss(self, users: Picked, positives: Picked, negatives: Picked) -> Tensor:
        """BPR plus the squared norms of the triple's id rows and preferences."""
        norms = sum(squared_norm(picked.rows) for picked in (users, positives, negatives))
        return bpr_of(users, positives, negatives) + self.config.regularization * norms

    def _mean(self, x: Tensor) -> Tensor:
        return x.view(len(x), len(self.modalities), self.config.width).mean(1)


class _Input(nn.Module):
    """One modality of items as layer 0: mapped where it is wider than the latent width, then a unit vector."""

    def __init__(self, modality: Modality, config: MMGCNConfig) -> None:
        super().__init__()
        self.content = Content(modality, config.width)
        is_mapped = config.latent_width is not None and self.content.width > config.latent_width
        self.map = nn.Linear(self.content.width, config.latent_width) if is_mapped else None  # type: ignore[arg-type]
        self.width = self.content.width if self.map is None else self.map.out_features

    def forward(self, feature: Feature) -> Tensor:
        content = self.content(feature)
        mapped = content if self.map is None else self.map(content)
        return unit_vectors([mapped], feature.present.unsqueeze(1))


class _Convolutions(nn.Module):
    """One modality's layers, the first from the width of its input."""

    def __init__(self, input_width: int, config: MMGCNConfig) -> None:
        super().__init__()
        widths = [input_width, *[config.width] * (config.num_layers - 1)]
        self.layers = nn.ModuleList(_Convolution(width, config) for width in widths)


class _Convolution(nn.Module):
    """`h = leaky(mean(x W))`, `side = leaky(L x) + id`; `leaky(G h + side)` or `leaky(G [h, side])`."""

    def __init__(self, width: int, config: MMGCNConfig) -> None:
        super().__init__()
        self.width = width
        self._concatenates = config.combine == "concat"
        self.aggregate = nn.Linear(width, width, bias=False)  # W
        self.side = nn.Linear(width, config.width)  # L
        self.join = nn.Linear(width + config.width if self._concatenates else width, config.width)  # G
        for linear in (self.aggregate, self.side, self.join):
            nn.init.xavier_normal_(linear.weight)

    def forward(self, x: Tensor, mean: Tensor, identity: Tensor) -> Tensor:
        hidden = functional.leaky_relu(self.aggregate(mean))  # the mean of x W is the mean of x, times W
        side = functional.leaky_relu(self.side(x)) + identity
        if self._concatenates:
            return functional.leaky_relu(self.join(torch.cat([hidden, side], dim=1)))
        return functional.leaky_relu(self.join(hidden) + side)
