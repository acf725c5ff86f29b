"""BPR-MF: matrix factorisation under the pairwise loss.

Rendle, Freudenthaler, Gantner, Schmidt-Thieme, "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from dualgnn_dist.models.contract import Recommender, Rows
from dualgnn_dist.models.losses import bpr, squared_norm
from dualgnn_dist.parts import TablePart, xavier_normal
from dualgnn_dist.types import Feature, Sizes


@dataclass(frozen=True, kw_only=True)
class BPRMFConfig:
    """BPR-MF's own settings.

    Args:
        width: d of the id tables.
        regularization: of the squared rows of each triple.
    """

    width: int = 64
    regularization: float = 1e-4

    def __post_init__(self) -> None:
        if self.width < 1 or self.regularization < 0:
            raise ValueError("width must be at least 1; regularization not negative")


class BPRMF(Recommender):
    """The table rows are the representations. No dense weights, no graph."""

    Config = BPRMFConfig
    config: BPRMFConfig

    def __init__(self, config: BPRMFConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.user_parts = {"embedding": TablePart(config.width, xavier_normal)}
        self.item_parts = {"embedding": TablePart(config.width, xavier_normal)}

    def user_inputs(self, rows: Rows) -> Tensor:
        """The table rows, [u, d]."""
        return rows["embedding"]

    def item_inputs(self, rows: Rows, features: Mapping[str, Feature]) -> Tensor:
        """The table rows, [i, d]."""
        return rows["embedding"]

    def readout_users(self, layers: list[Tensor], rows: Rows) -> Tensor:
        """The table rows, [u, d]."""
        return layers[0]

    def readout_items(self, layers: list[Tensor], rows: Rows) -> Tensor:
        """The table rows, [i, d]."""
        return layers[0]

    def loss(
        self, positive_scores: Tensor, negative_scores: Tensor, users: Rows, positives: Rows, negatives: Rows
    ) -> Tensor:
        """BPR plus the squared norm of the triple's table rows."""
        norms = sum(squared_norm(rows, positive_scores) for rows in (users, positives, negatives))
        return bpr(positive_scores, negative_scores) + self.config.regularization * norms
