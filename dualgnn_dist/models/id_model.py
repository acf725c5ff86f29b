"""What the models of interactions alone share: id tables of users and items, one readout for both."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor

from dualgnn_dist.base.batch import Feature, Sizes
from dualgnn_dist.base.table_part import TablePart, xavier_uniform
from dualgnn_dist.models.contract import ModelConfig, Recommender, Rows


class IdModel(Recommender):
    """Layer 0 is the table rows."""

    config: ModelConfig

    def __init__(self, config: ModelConfig, sizes: Sizes) -> None:
        super().__init__(config, sizes)
        self.user_parts = {"embedding": self.part(config.width)}
        self.item_parts = {"embedding": self.part(config.width)}

    def part(self, width: int) -> TablePart:
        """A table row and its first values."""
        return TablePart(width, xavier_uniform)

    def user_inputs(self, rows: Rows) -> Tensor:
        """The table rows, [u, d]."""
        return rows["embedding"]

    def item_inputs(self, rows: Rows, features: Mapping[str, Feature]) -> Tensor:
        """The table rows, [i, d]."""
        return rows["embedding"]

    @abstractmethod
    def readout(self, layers: list[Tensor]) -> Tensor:
        """[n, d] from layers 0..L, each [n, X], of users or items."""

    def readout_users(self, layers: list[Tensor], rows: Rows) -> Tensor:
        """See `readout`."""
        return self.readout(layers)

    def readout_items(self, layers: list[Tensor], rows: Rows) -> Tensor:
        """See `readout`."""
        return self.readout(layers)
