"""A store of what a Python program holds: tables and arrays of whatever library."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dualgnn_dist.base.config import from_mapping
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import say
from dualgnn_dist.data.make import make_at
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.formats.readers.column_modality import column_modality
from dualgnn_dist.data.prepare.formats.readers.columns import Ids
from dualgnn_dist.data.prepare.formats.table import TableOptions, raw_data_of
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import RawData, RawModality
from dualgnn_dist.data.prepare.reading import array_modality, numbered
from dualgnn_dist.data.prepare.tabular.memory import MemoryTable, column_of, memory_table
from dualgnn_dist.data.store.reader import Store


def prepare_table(
    store: str | Path,
    interactions: Any,
    modalities: Mapping[str, Any] | None = None,
    *,
    say: Callable[[str], None] = say,
    **settings: Any,
) -> Store:
    """Makes a store of tables in memory and opens it; the same store as `prepare` makes of the same rows in files.

    A table is a polars frame, eager or lazy; what hands out Arrow streams, such as a pandas or an Arrow table; a
    `Dataset` of Hugging Face; or a mapping of column -> array or list.

    Args:
        store: where it comes to lie, a folder or a URL.
        interactions: a table.
        modalities: name -> a table with an item column and one other; `(table, column)` of several; `(items, array)`
            with an array [rows, D]; or an array whose rows are the item ids 0, 1, ....
        say: gets a line a stage.
        settings: of the config's section `prepare`, for example `split="leave_one_out"`, `k_core=5` or
            `options={"user_column": "viewer"}`, the options being those of the format `table`.

    Raises:
        UserError: there is a store already, a setting is wrong, or a table is not what it must be.
    """
    section = {"split": "random", **settings, "format": "table"}
    if section.get("input") is not None or section.get("modalities"):
        raise UserError("prepare_table takes tables; for files use prepare_store, or `python -m dualgnn_dist.prepare`")
    config = from_mapping(PrepareConfig, section, "prepare")
    options: TableOptions = config.format_options()
    table, tables = memory_table("interactions", interactions), dict(modalities or {})

    def read() -> RawData:
        checksums = {"interactions": table.checksum()}
        features = {}
        for name, value in tables.items():
            features[name], checksums[name] = _modality(name, value, options)
        return raw_data_of(table, features, options, checksums=checksums)

    return Store.open(make_at(str(store), config, say=say, read=read))


def _modality(name: str, value: Any, options: TableOptions) -> tuple[RawModality, str]:
    """A modality, and a checksum of what it was made of."""
    ids, item_column = Ids(options.id_type), options.feature_item_column or options.item_column
    items, column = None, None
    if isinstance(value, tuple) and len(value) == 2:
        first, second = value
        if isinstance(second, str):
            value, column = first, second
        else:
            value, items = second, ids.read(column_of(first), "item id", numbered(Path(name), "row"))
    array = _array(value)
    if array is not None:
        if items is None and options.id_type == "text":
            raise UserError(f"modality {name!r} is keyed by row, ids are texts; give it as (items, array)")
        return array_modality(Path(name), array, items), _checksum(array, items)
    if items is not None:
        raise UserError(f"modality {name!r}: (items, array) needs an array [rows, D], not a {type(value).__name__}")
    table = memory_table(name, value)
    read = column_modality(
        table, item_column, lambda series, place: ids.read(series, item_column, place), column=column
    )
    return read, table.checksum()


def _array(value: Any) -> np.ndarray | None:
    """The matrix that NumPy, torch or JAX hold; None for what is a table."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return value if isinstance(value, np.ndarray) else None


def _checksum(array: np.ndarray, items: pl.Series | None) -> str:
    digest = hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16)
    if items is not None:
        digest.update(MemoryTable(Path("items"), items.to_frame().lazy()).checksum().encode())
    return digest.hexdigest()
