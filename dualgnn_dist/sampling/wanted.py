"""What steps 3 to 5 start from: the distinct nodes of some triples, and which edges between them count as unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dualgnn_dist.models.co_users import CoUserRows
from dualgnn_dist.sampling.draws import NOTHING_EXCLUDED, Excluded
from dualgnn_dist.sampling.hops import Seeds


class Triples(NamedTuple):
    """Of each interaction its user, its item and its negatives: rows of the store, or positions among wanted nodes."""

    users: np.ndarray  # [B]
    positives: np.ndarray  # [B]
    negatives: np.ndarray  # [B, N]


@dataclass(frozen=True)
class Wanted:
    """Nodes whose representations are wanted.

    Args:
        users: int32 [u], items: int32 [i], distinct and ascending.
        excluded_of_users: edges of the first users that count as unknown, or nothing.
        excluded_of_items: the same for the first items.
        batch_users: int32, users of the whole batch, of which other workers may hold some: as co-users they draw what
            they draw there. None: the `users`.
    """

    users: np.ndarray
    items: np.ndarray
    excluded_of_users: Excluded = NOTHING_EXCLUDED
    excluded_of_items: Excluded = NOTHING_EXCLUDED
    batch_users: np.ndarray | None = None

    @classmethod
    def of(
        cls, triples: Triples, exclude_positives: bool, batch_users: np.ndarray | None = None
    ) -> tuple[Wanted, Triples]:
        """The nodes of `triples`, and the triples as int64 positions among them."""
        users, user_positions = np.unique(triples.users, return_inverse=True)
        items, item_positions = np.unique(
            np.concatenate([triples.positives, triples.negatives.ravel()]), return_inverse=True
        )
        positives, negatives = np.split(item_positions, [len(triples.positives)])
        excluded = NOTHING_EXCLUDED, NOTHING_EXCLUDED
        if exclude_positives:
            excluded = _by_row(user_positions, triples.positives), _by_row(positives, triples.users)
        positions = Triples(user_positions, positives, negatives.reshape(triples.negatives.shape))
        return cls(users, items, *excluded, batch_users), positions

    def seeds(self, co_users: CoUserRows | None, fanout: int, co_user_fanout: int | None) -> Seeds:
        """The nodes with the co-users behind the users, and what each draws at the first hop.

        Args:
            fanout: of the users of the batch, co-users or not; `co_user_fanout` of the other co-users, None: the same.
        """
        users, fanouts = self.users, None
        if co_users is not None:
            others = np.setdiff1d(co_users.neighbors, self.users)
            users = np.concatenate([self.users, others])
            if co_user_fanout is not None:
                is_of_batch = np.isin(others, self.users if self.batch_users is None else self.batch_users)
                users = np.concatenate([self.users, others[is_of_batch], others[~is_of_batch]])
                counts = len(users) - np.sum(~is_of_batch), np.sum(~is_of_batch)
                fanouts = np.repeat(np.array([fanout, co_user_fanout], dtype=np.int32), counts)
        return Seeds(users, self.items, self.excluded_of_users, self.excluded_of_items, fanouts)


def _by_row(positions: np.ndarray, neighbors: np.ndarray) -> Excluded:
    """Pairs (position of the row, neighbour) as rows of sorted neighbours; distinct, as a store has no duplicates."""
    by_row = np.lexsort((neighbors, positions))
    offsets = np.zeros(int(positions.max(initial=-1)) + 2, dtype=np.int64)
    np.cumsum(np.bincount(positions, minlength=len(offsets) - 1), out=offsets[1:])
    return Excluded(offsets, neighbors[by_row].astype(np.int32))
