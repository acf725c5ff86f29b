"""What a format makes of a file: read as `prepare` reads it, up to the split."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.filter import drop_duplicates, k_core
from dualgnn_dist.data.prepare.formats import FORMATS
from dualgnn_dist.data.prepare.ids import assign_rows
from dualgnn_dist.data.prepare.interactions import InteractionTable
from dualgnn_dist.data.prepare.raw_data import BLOCK_ROWS
from dualgnn_dist.data.prepare.scratch import Scratch
from dualgnn_dist.data.prepare.split import split

CORES = (5, 10)


@dataclass(frozen=True)
class Sizes:
    """How much there is."""

    num_users: int
    num_items: int
    num_interactions: int

    @classmethod
    def of(cls, table: InteractionTable) -> Sizes:
        """Of interactions that stand in blocks of users."""
        return cls(_num_different(table.users), _num_different(table.items), len(table))

    def __str__(self) -> str:
        return f"{self.num_users:,} users, {self.num_items:,} items, {self.num_interactions:,} interactions"


@dataclass(frozen=True)
class Facts:
    """What `prepare` will count.

    Args:
        num_rows: of the input.
        num_lacking: rows that lack a value, and are left out.
        num_duplicates: rows whose user and item stand in another row too.
        notes: what the format says of them, as of the times.
        sizes: without duplicates.
        cores: k -> what its k-core leaves; None: nothing.
    """

    num_rows: int
    num_lacking: int
    num_duplicates: int
    notes: tuple[str, ...]
    sizes: Sizes
    cores: dict[int, Sizes | None]


def facts_of(config: PrepareConfig) -> Facts:
    """Reads the input. Raises UserError where `prepare` would, as far as interactions and modalities' heads go."""
    with tempfile.TemporaryDirectory(prefix="dualgnn-inspect-") as folder:
        scratch = Scratch(Path(folder), BLOCK_ROWS)
        raw = FORMATS[config.format].read(config.input, config.modalities, config.format_options())
        table, users, items, num_in_blocks = assign_rows(raw, scratch)
        left_out = sum((tally.left_out for tally in raw.tallies), Counter[str]())
        unique = drop_duplicates(table, len(users), scratch)
        cores: dict[int, Sizes | None] = {}
        for k in CORES:
            try:
                cores[k] = Sizes.of(k_core(unique, k, len(users), len(items), scratch))
            except UserError:  # nothing is left
                cores[k] = None
        split(unique, config.split, config.split_shares, len(users), config.seed, scratch)
        return Facts(
            num_rows=num_in_blocks + left_out.total(),
            num_lacking=left_out["nulls"],
            num_duplicates=len(table) - len(unique),
            notes=tuple(dict.fromkeys(line for tally in raw.tallies for line in tally.notes)),
            sizes=Sizes.of(unique),
            cores=cores,
        )


def _num_different(rows: np.ndarray) -> int:
    return int(np.count_nonzero(np.bincount(rows))) if len(rows) else 0
