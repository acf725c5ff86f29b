"""Content that is hidden on purpose: how good does a model stay when items miss modalities?"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dualgnn_dist.base.errors import UserError, nearest
from dualgnn_dist.base.kernels import kernel
from dualgnn_dist.base.randomness import MODALITIES, Word, key, random_bits, unit


@dataclass(frozen=True, kw_only=True)
class DropModality:
    """Hides modalities of items, in training and ranking alike; the store stays as it is.

    Which items is a function of (seed, modality, item), so that a larger share hides what a smaller one does, and more.

    Args:
        share: of the items, from 0 to 1.
        modality: whose content is hidden; `any`: each modality of an item on its own, so some items lose several.
        seed: of which items lose it.
    """

    share: float
    modality: str = "any"
    seed: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share={self.share} must lie in [0, 1]")
        if not 0 <= self.seed < 1 << 63:
            raise ValueError(f"seed={self.seed} must not be negative, and be below 2^63")

    def refuse_unknown_modality(self, modalities: Iterable[str]) -> None:
        """Raises UserError where the data has no such modality."""
        if self.modality not in ("any", *modalities):
            raise UserError(
                f"data.drop_modality.modality={self.modality!r} is neither 'any' nor a modality of the store"
                f"{nearest(self.modality, modalities)}"
            )

    def __call__(self, modality: str, items: np.ndarray) -> np.ndarray:
        """bool [n]: whether the modality of each of int32 or int64 `items` is hidden."""
        if self.modality not in ("any", modality):
            return np.zeros(len(items), dtype=bool)
        return _hidden(np.uint64(key(self.seed, 0, zlib.crc32(modality.encode()), MODALITIES)), items, self.share)


@kernel
def _hidden(modality_key: Word, items: np.ndarray, share: float) -> np.ndarray:
    hidden = np.empty(len(items), dtype=np.bool_)
    for k in range(len(items)):
        hidden[k] = unit(random_bits(modality_key, items[k], 0, 0)) < share
    return hidden
