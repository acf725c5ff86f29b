"""Raw ids -> row indices: rows are the ids in ascending order, or the ids themselves where the format says so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from dualgnn_dist.build.raw import RawData
from dualgnn_dist.build.table import InteractionTable
from dualgnn_dist.strict import UserError


@dataclass(frozen=True)
class IdTable:
    """The raw id of every row.

    Args:
        ids: ascending, unique; Int64 or String.
        is_range: they are 0, 1, ..., so that no look-up is needed.
    """

    ids: pl.Series
    is_range: bool = False

    @classmethod
    def range(cls, size: int) -> IdTable:
        """Ids that are row indices."""
        return cls(pl.Series("id", np.arange(size)), is_range=True)

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids: pl.Series) -> np.ndarray:
        """int32 rows of raw ids; -1 for one that is not known."""
        if ids.dtype != self.ids.dtype:
            ids = ids.cast(self.ids.dtype, strict=False)
        if self.is_range:
            numbers = ids.to_numpy()
            return np.where((numbers >= 0) & (numbers < len(self)), numbers, -1).astype(np.int32)
        known = pl.DataFrame({"id": self.ids, "row": np.arange(len(self), dtype=np.int32)})
        found = ids.alias("id").to_frame().join(known, on="id", how="left", maintain_order="left")
        return found["row"].fill_null(-1).to_numpy()


def assign_rows(raw: RawData) -> tuple[InteractionTable, IdTable, IdTable]:
    """Reads the interactions once (twice where ids are not rows) and gives them row indices.

    Returns:
        the interactions that are kept, and the ids of all users and of all items that were named.

    Raises:
        UserError: there is no interaction, or there are too many ids.
    """
    if raw.ids_are_rows:
        table = _stack((block, _int32(block["user"]), _int32(block["item"])) for block in raw.blocks())
        num_users = max(raw.num_users, int(table.users.max()) + 1)
        num_items = max(raw.num_items, int(table.items.max()) + 1)
        return table, IdTable.range(num_users), IdTable.range(num_items)
    users, items = _unique(raw, "user"), _unique(raw, "item")
    table = _stack((block, users.rows(block["user"]), items.rows(block["item"])) for block in raw.blocks())
    return table, users, items


def _unique(raw: RawData, column: str) -> IdTable:
    seen: list[pl.Series] = []
    for block in raw.blocks():
        seen.append(block[column].unique())
        if len(seen) > 16:
            seen = [pl.concat(seen).unique()]
    if not seen:
        raise UserError("the input has no interactions")
    return IdTable(pl.concat(seen).unique().sort().alias("id"))


def _stack(blocks: Iterable[tuple[pl.DataFrame, np.ndarray, np.ndarray]]) -> InteractionTable:
    parts: dict[str, list[np.ndarray]] = {"user": [], "item": [], "timestamp": [], "split": []}
    for block, users, items in blocks:
        kept = block["kept"].to_numpy() if "kept" in block.columns else slice(None)
        parts["user"].append(users[kept])
        parts["item"].append(items[kept])
        for name, dtype in (("timestamp", np.int64), ("split", np.int8)):
            if name in block.columns:
                parts[name].append(block[name].to_numpy()[kept].astype(dtype))
    columns = {name: np.concatenate(arrays) if arrays else None for name, arrays in parts.items()}
    if columns["user"] is None or columns["item"] is None or not len(columns["user"]):
        raise UserError("the input has no interactions")
    return InteractionTable(columns["user"], columns["item"], columns["timestamp"], columns["split"])


def _int32(ids: pl.Series) -> np.ndarray:
    numbers = ids.to_numpy()
    if len(numbers) and numbers.max() >= np.iinfo(np.int32).max:
        raise UserError(
            f"id {numbers.max()} is too large to be a row index; use the format 'table', which renumbers ids"
        )
    return numbers.astype(np.int32)
