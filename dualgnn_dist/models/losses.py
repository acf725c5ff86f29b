"""Pairwise ranking losses and the penalties of the batch's rows, one value an interaction.

A model's loss is a vector over interactions, so the mean over the global batch is a sum and a count over disjoint
slices: it does not depend on how many workers share the batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional


def bpr(positive_scores: Tensor, negative_scores: Tensor) -> Tensor:
    """`-ln sigmoid(y(u,i) - y(u,j))`, [B] (Rendle et al., 2009), through softplus: exact for large differences too."""
    return functional.softplus(negative_scores - positive_scores)


def bpr_base_2(positive_scores: Tensor, negative_scores: Tensor) -> Tensor:
    """`-log2 sigmoid(y(u,i) - y(u,j))`, [B]: what DualGNN minimises."""
    return bpr(positive_scores, negative_scores) / math.log(2.0)


def squared_norm(rows: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """The sum of squares over all parts of each row, [B]; zeros like `like` [B] where there are no parts."""
    return sum((part.square().sum(-1) for part in rows.values()), torch.zeros_like(like))


def mean_square(rows: Tensor) -> Tensor:
    """The mean of squares over each row, [B]."""
    return rows.square().mean(-1)
