"""Features of the raw data -> columns of the store in item order, with nulls for items that miss a modality."""

from __future__ import annotations

import tempfile
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from dualgnn_dist.base.csr import ShardedCSR
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.storage.space import explained, reserve
from dualgnn_dist.data.prepare.content.catalogue import Catalogue, file_of
from dualgnn_dist.data.prepare.content.scale import CURE, REFUSED, Scales, largest_of, warning
from dualgnn_dist.data.prepare.ids import IdTable
from dualgnn_dist.data.prepare.raw_data import FeatureBlock, RawModality, TokenLists
from dualgnn_dist.data.prepare.reading import BLOCK_BYTES, refuse_first
from dualgnn_dist.data.prepare.scratch import ADVICE
from dualgnn_dist.data.store.schema import ModalityInfo
from dualgnn_dist.data.store.writer import StoreWriter


def write_features(
    writer: StoreWriter,
    name: str,
    modality: RawModality,
    catalogue: Catalogue,
    kept: np.ndarray,
    standardize: bool = False,
    note: Callable[[str], None] = lambda line: None,
) -> ModalityInfo:
    """Writes the table `features/<name>`.

    Args:
        catalogue: with the modality's ids compared.
        kept: int64 [I], the rows of the catalogue that the store keeps, ascending.
        standardize: brings every column of vectors to mean 0 and deviation 1.
        note: is told of a column that drowns the others.

    Raises:
        UserError: a value that is no finite number or beyond all scales; says where. Or no item has a value.
    """
    store_rows = _StoreRows(modality, catalogue.ids, kept)
    table = f"features/{name}"
    if modality.kind == "dense":
        dimension = _write_dense(writer, table, modality, store_rows, standardize, note)
    else:
        dimension = _write_tokens(writer, table, modality, store_rows)
    if store_rows.num_rows != catalogue.overlaps[name].num_rows:
        raise UserError(f"{file_of(modality)} changed while it was read; run `prepare` again")
    num_present = int(np.count_nonzero(store_rows.present))
    if not num_present:
        raise UserError(f"modality {name!r} has no value for any item; leave it out of prepare.modalities")
    return ModalityInfo(kind=modality.kind, dimension=dimension, dtype=modality.dtype, num_present=num_present)


class _StoreRows:
    """Rows of a modality's source -> rows of the store, whose items may be fewer and stand in another order.

    Attributes:
        present: bool [I], the items of the store for which a value has come.
        num_rows: how many rows have come.
    """

    def __init__(self, modality: RawModality, ids: IdTable, kept: np.ndarray) -> None:
        self.modality, self.ids = modality, ids
        self.present = np.zeros(len(kept), dtype=bool)
        self._of_id = np.full(len(ids), -1, dtype=np.int64)
        self._of_id[kept] = np.arange(len(kept))
        self.num_rows = 0

    def kept(self, block: FeatureBlock) -> tuple[np.ndarray, np.ndarray]:
        """(positions in the block, item rows of the store) of the values that the store keeps."""
        rows = self.ids.rows(block.items_or_rows)
        self.num_rows += len(rows)
        new = np.where(rows < 0, -1, self._of_id[rows])
        kept = new >= 0 if block.present is None else (new >= 0) & block.present
        positions = np.flatnonzero(kept)
        self.present[new[positions]] = True
        return positions, new[positions]

    def refuse_values(self, block: FeatureBlock, positions: np.ndarray, values: np.ndarray) -> None:
        """Refuses the first row with a value that is no finite number; `values` are those at positions of the block."""
        wrong = ~np.isfinite(values).all(axis=1)
        say = "a value is NaN or infinite; leave the row empty where an item misses it"
        self._refuse(block, positions, wrong, lambda k: say)

    def refuse_huge(self, block: FeatureBlock, positions: np.ndarray, values: np.ndarray) -> None:
        """Refuses the first row with a value whose square is no number any more."""
        largest = np.abs(values).max(axis=1, initial=0).astype(np.float64)  # float16 holds no such limit

        def say(row: int) -> str:
            column = int(np.abs(values[row]).argmax())
            return f"column {column} holds {values[row, column]:.3g}, beyond {REFUSED:g} no model can train; {CURE}"

        self._refuse(block, positions, largest > REFUSED, say)

    def _refuse(self, block: FeatureBlock, positions: np.ndarray, wrong: np.ndarray, say: Callable[[int], str]) -> None:
        place = block.place or (lambda row: self.modality.place(block.first_row + row))
        refuse_first(wrong, lambda k: place(int(positions[k])), say)


def _write_dense(
    writer: StoreWriter,
    table: str,
    modality: RawModality,
    store_rows: _StoreRows,
    standardize: bool,
    note: Callable[[str], None],
) -> int:
    num_items, dimension = len(store_rows.present), modality.dimension
    dtype = "float64" if standardize else modality.dtype  # until then no digit is cut
    with tempfile.TemporaryFile(dir=writer.folder) as file:  # rows come in any order: the disk holds them
        num_bytes = num_items * dimension * np.dtype(dtype).itemsize
        with explained(writer.folder, num_bytes, ADVICE):
            reserve(file.fileno(), num_bytes)
        column = np.memmap(file, dtype=dtype, mode="r+", shape=(num_items, dimension))
        for block in modality.blocks():
            assert isinstance(block.values, np.ndarray)
            positions, rows = store_rows.kept(block)
            with np.errstate(over="ignore"):
                values = block.values[positions].astype(dtype, copy=False)
            store_rows.refuse_values(block, positions, values)
            if not standardize:
                store_rows.refuse_huge(block, positions, values)
            column[rows] = values
        whole, block_rows = (column, store_rows.present), max(1, BLOCK_BYTES // (8 * dimension))
        scales = Scales.of(*whole, block_rows) if standardize else None
        if scales is None and (drowns := warning(largest_of(*whole, block_rows))) is not None:
            note(f"{file_of(modality)}: {drowns}")
        for start in range(0, num_items, writer.rows_per_shard):
            part = slice(start, start + writer.rows_per_shard)
            missing = pa.array(~store_rows.present[part])
            numbers = np.asarray(column[part]) if scales is None else scales.standardized(column[part])
            values = pa.array(numbers.astype(modality.dtype, copy=False).reshape(-1))
            writer.append(table, {"feature": pa.FixedSizeListArray.from_arrays(values, dimension, mask=missing)})
        del column
    return dimension


def _write_tokens(writer: StoreWriter, table: str, modality: RawModality, store_rows: _StoreRows) -> int:
    num_items = len(store_rows.present)
    rows, lengths, tokens = [], [], []
    for block in modality.blocks():
        assert isinstance(block.values, TokenLists)
        positions, new_rows = store_rows.kept(block)
        lists = ShardedCSR.from_arrays(block.values.offsets, block.values.tokens)
        offsets, kept_tokens = lists.gather(positions.astype(np.int32))
        rows.append(new_rows)
        lengths.append(np.diff(offsets))
        tokens.append(kept_tokens)
    order = np.full(num_items, -1, dtype=np.int64)
    all_rows, all_lengths, all_tokens = (np.concatenate(parts) for parts in (rows, lengths, tokens))
    order[all_rows] = np.arange(len(all_rows))
    offsets = np.zeros(len(all_lengths) + 2, dtype=np.int64)  # one more list, empty, for the items that have none
    np.cumsum(all_lengths, out=offsets[1:-1])
    offsets[-1] = offsets[-2]
    lists = ShardedCSR.from_arrays(offsets, all_tokens)
    order[order < 0] = len(all_lengths)
    for start in range(0, num_items, writer.rows_per_shard):
        part = slice(start, start + writer.rows_per_shard)
        offsets, shard_tokens = lists.gather(order[part].astype(np.int32))
        missing = pa.array(~store_rows.present[part])
        writer.append(
            table, {"feature": pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(shard_tokens), mask=missing)}
        )
    return max(modality.dimension, int(all_tokens.max(initial=-1)) + 1)
