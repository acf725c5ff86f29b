"""What every draw keeps to: neighbours of some targets for one hop, and the types that it is asked and answers in."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from dualgnn_dist.base.csr import ShardedCSR
from dualgnn_dist.base.randomness import Word

ALL = -1  # the fanout that takes every neighbour


class Excluded(NamedTuple):
    """Edges left out of the draw: of target k the neighbours `ids[offsets[k]:offsets[k + 1]]`, sorted.

    Targets beyond the offsets keep all their edges.
    """

    offsets: np.ndarray  # int64 [k + 1]
    ids: np.ndarray  # int32


NOTHING_EXCLUDED = Excluded(np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.int32))


class Drawn(NamedTuple):
    """Of target k the neighbours `neighbors[offsets[k]:offsets[k + 1]]`, and how many there are for each one drawn."""

    offsets: np.ndarray  # int32 [T + 1]
    neighbors: np.ndarray  # int32 [E], row indices into the store
    scale: np.ndarray  # float32 [T]: neighbours available / drawn, 0 where nothing was drawn


class Draw(Protocol):
    """One hop's draw over a graph; threads may share it."""

    def __init__(self, user_item: ShardedCSR, item_user: ShardedCSR) -> None: ...

    def __call__(
        self,
        side: str,
        targets: np.ndarray,
        fanout: int | np.ndarray,
        key: Word,
        hop: int,
        excluded: Excluded = NOTHING_EXCLUDED,
    ) -> Drawn:
        """At most `fanout` neighbours of each target, uniformly, without replacement.

        Args:
            side: what the targets are, `users` or `items`.
            targets: int32 [T].
            fanout: for all targets alike, or int32 [T], one each; ALL takes every neighbour.
            key: uint64, of the step and the side.
            excluded: edges that do not exist for this draw: neither drawn nor counted as available.
        """
        ...
