"""BPR-MF: matrix factorisation under the pairwise loss.

Rendle, Freudenthaler, Gantner, Schmidt-Thieme, "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from dualgnn_dist.base.table_part import TablePart, xavier_normal
from dualgnn_dist.models.contract import ModelConfig, Picked
from dualgnn_dist.models.id_model import IdModel
from dualgnn_dist.models.losses import bpr_of, squared_norm


@dataclass(frozen=True, kw_only=True)
class BPRMFConfig(ModelConfig):
    """BPR-MF has the settings that all models have."""


class BPRMF(IdModel):
    """The table rows are the representations. No dense weights, no graph."""

    Config = BPRMFConfig

    def part(self, width: int) -> TablePart:
        """Xavier normal."""
        return TablePart(width, xavier_normal)

    def readout(self, layers: list[Tensor]) -> Tensor:
        """The table rows, [n, d]."""
        return layers[0]

    def loss(self, users: Picked, positives: Picked, negatives: Picked) -> Tensor:
        """BPR plus the squared norm of the triple's table rows."""
        norms = sum(squared_norm(picked.rows) for picked in (users, positives, negatives))
        return bpr_of(users, positives, negatives) + self.config.regularization * norms
