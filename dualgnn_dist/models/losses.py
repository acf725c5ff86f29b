"""Pairwise ranking losses and the penalties of the batch's rows, one value a triple of user, positive and negative.

A model's loss is a vector, so the mean over the global batch is a sum and a count over disjoint slices: it does not
depend on how many workers share the batch. A penalty of dense weights is added to every triple for the same reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional


class HasRepresentation(Protocol):
    """Nodes of T triples that have a `representation` [T, d]."""

    @property
    def representation(self) -> Tensor:
        """[T, d]."""
        ...


def bpr(users: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """`-ln sigmoid(y(u,i) - y(u,j))`, [T], from vectors [T, d] whose inner products are the scores y.

    Rendle et al., 2009. Through softplus: exact for large differences too.
    """
    return functional.softplus((users * negatives).sum(-1) - (users * positives).sum(-1))


def bpr_of(users: HasRepresentation, positives: HasRepresentation, negatives: HasRepresentation) -> Tensor:
    """`bpr` of the final representations, [T]."""
    return bpr(users.representation, positives.representation, negatives.representation)


def to_base_2(loss: Tensor) -> Tensor:
    """The same loss with log2 in the place of ln: what DualGNN minimises."""
    return loss / math.log(2.0)


def squared_norm(rows: Mapping[str, Tensor]) -> Tensor:
    """The sum of squares over all parts of each row, [T]."""
    return torch.stack([part.square().sum(-1) for part in rows.values()]).sum(0)


def mean_square(rows: Tensor) -> Tensor:
    """The mean of squares over each row, [T]."""
    return rows.square().mean(-1)


def weight_norm(weights: Iterable[Tensor]) -> Tensor:
    """The sum of squares of dense weights, a scalar."""
    return torch.stack([weight.square().sum() for weight in weights]).sum()
