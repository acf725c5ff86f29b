"""What is ranked and counted: the `evaluation` section of a config, and the protocol of one ranking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dualgnn_dist.base.config import setting
from dualgnn_dist.evaluation.metrics import NdcgConvention

Split = Literal["valid", "test"]
Candidates = Literal["all", "warm", "cold"]
"""Which items are ranked and count as held out: all, those with a training interaction, or those without."""


@dataclass(frozen=True)
class Protocol:
    """How one split is ranked and counted."""

    split: Split
    ks: tuple[int, ...]
    ndcg_convention: NdcgConvention = "standard"
    candidates: Candidates = "all"


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Full ranking over all items but the user's earlier ones.

    Args:
        ks: list lengths.
        ndcg_convention: `dualgnn` takes the ideal over the hits found, as the released DualGNN does; for comparisons.
    """

    ks: tuple[int, ...] = setting((5, 10, 20, 50), decides="measure")
    ndcg_convention: NdcgConvention = setting("standard", decides="measure")

    def __post_init__(self) -> None:
        if not self.ks or min(self.ks) < 1:
            raise ValueError("ks must be list lengths of at least 1")

    def protocol(self, split: Split, candidates: Candidates = "all") -> Protocol:
        """These settings for a ranking of one split."""
        return Protocol(split, self.ks, self.ndcg_convention, candidates)
