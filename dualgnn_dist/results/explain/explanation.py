"""What a finished run learned of its users: how they weigh the modalities, and which co-users speak for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import TextTable
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.models import Recommender
from dualgnn_dist.models.co_users import exact_co_users
from dualgnn_dist.results.explain.communities import communities_of, share_between
from dualgnn_dist.results.finished_run import FinishedRun, Learned

_PREFIX = "weight_"


@dataclass(frozen=True)
class CommunityWeights:
    """Modality weights of every user, and the user's community.

    Args:
        weights: modality -> float32 [U].
        communities: int64 [U], 0 is the largest.
        between: modality -> how much of the variance of its weights lies between communities.
    """

    weights: Mapping[str, np.ndarray]
    communities: np.ndarray
    between: Mapping[str, float]


@dataclass(frozen=True)
class CoUsersOfOne:
    """The co-users that a model aggregates for one user, heaviest first.

    Args:
        ids: as in the raw data.
        shared: int32 [n], training items in common.
        weights: float32 [n], s(u, v); they sum to 1.
    """

    ids: list[str]
    shared: np.ndarray
    weights: np.ndarray

    def held_by(self, first: int) -> float:
        """The share of all weight that the first so many hold."""
        return float(self.weights[:first].sum(dtype=np.float64))


def modality_weights(learned: Learned) -> dict[str, np.ndarray]:
    """Modality -> float32 [U]; empty where none were written."""
    return {name.removeprefix(_PREFIX): values for name, values in learned.columns.items() if name.startswith(_PREFIX)}


def why_no_weights(run: FinishedRun, model: Recommender) -> str:
    """The reason why a run has no modality weights, and what would have some."""
    rows = {name: torch.empty(0, part.width) for name, part in model.user_parts.items()}
    if model.modality_weights(rows) is not None:
        return (
            f"{run.folder} was finished before modality weights were written beside the vectors; finish it again with "
            "`train --resume`"
        )
    fusion = getattr(run.config.model.settings, "fusion", None)
    kind = run.config.model.name + (f" with model.fusion={fusion}" if fusion else "")
    return (
        f"{run.folder}: {kind} has no weights of modalities a user; DualGNN has them with model.fusion=weighted_sum, "
        "max or concat_mlp"
    )


def by_community(run: FinishedRun, learned: Learned, model: Recommender, count: int) -> CommunityWeights:
    """The users' modality weights, and at most `count` communities of users whose vectors point the same way.

    Raises:
        UserError: the run has no such weights, or `count` is not a number of communities.
    """
    weights = modality_weights(learned)
    if not weights:
        raise UserError(why_no_weights(run, model))
    if not 1 <= count <= len(learned.users):
        raise UserError(f"--communities {count} must lie between 1 and the number of users, {len(learned.users):,}")
    communities = communities_of(learned.users, count, run.config.run.seed)
    between = {name: share_between(values, communities) for name, values in weights.items()}
    return CommunityWeights(weights, communities, between)


def weights_table(weights: CommunityWeights) -> TextTable:
    """A row a community and one for all users."""
    names, communities = list(weights.weights), weights.communities
    every = np.stack([weights.weights[name] for name in names])
    heaviest = every.argmax(0)

    def cells(label: str, users: np.ndarray) -> tuple[str, ...]:
        shares = [float((heaviest[users] == place).mean()) for place in range(len(names))]
        spread = [f"{every[place, users].mean():.3f} ± {every[place, users].std():.3f}" for place in range(len(names))]
        return (
            label,
            f"{int(users.sum()):,}",
            *(f"{text} ({share:.0%})" for text, share in zip(spread, shares, strict=True)),
        )

    rows = [cells(str(number + 1), communities == number) for number in range(communities.max() + 1)]
    rows.append(cells("all", np.ones(len(communities), dtype=bool)))
    title = "weights: mean ± sd over users (share of users for whom the modality weighs most)"
    return TextTable(("community", "users", *names), {title: rows})


def notes(weights: CommunityWeights) -> list[str]:
    """What a reader must know of the numbers."""
    between = ", ".join(f"{name} {share:.1%}" for name, share in weights.between.items())
    return [
        f"Of the variance of the weights between users, so much lies between communities: {between}.",
        "Weights start as a softmax, positive and with sum 1; training is free to leave that.",
    ]


def user_weights_table(raw_id: str, row: int, weights: Mapping[str, np.ndarray]) -> TextTable:
    """A row a modality: the user's weight beside those of all."""
    cells = [
        (name, f"{values[row]:.4f}", f"{values.mean():.4f}", f"{(values < values[row]).mean():.0%}")
        for name, values in weights.items()
    ]
    return TextTable(("modality", f"user {raw_id}", "mean of users", "users below"), {"modality weights": cells})


def co_users_of(store: Store, model: Recommender, row: int) -> CoUsersOfOne | None:
    """The co-users of one user with the exact weights of the model; None for a model that reads none."""
    if model.co_users is None:
        return None
    co_users = exact_co_users(store.user_cooccurrence, np.array([row], dtype=np.int32), model.co_users)
    count_of = dict(zip(store.user_cooccurrence.row(row), store.user_cooccurrence.row_counts(row), strict=True))
    shared = np.array([count_of[neighbor] for neighbor in co_users.neighbors], dtype=np.int32)
    ids = [str(name) for name in store.ids("users", co_users.neighbors).to_pylist()]
    return CoUsersOfOne(ids, shared, co_users.weights)
