"""Which tables a store has, and what their rows and columns must be by what its manifest says.

`refuse_manifest` compares the numbers of the manifest with each other; nothing but the manifest is read for that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.store.schema import AGAIN, MANIFEST, SPLITS, Manifest, ModalityInfo, ShardInfo, shard_file

GRAPHS = ("graph/user_item", "graph/item_user", "graph/user_cooccurrence")
_MOST_ROWS = 2**31 - 1  # rows are int32
_LARGEST = 2**63 - 1
_DTYPES = {"dense": ("float32", "float16"), "tokens": ("int32",)}


@dataclass(frozen=True, kw_only=True)
class Column:
    """What one column of a table must be.

    Args:
        wanted: its type in words.
        fits: whether an Arrow type is that.
        below: its whole numbers, or those in its lists, lie in [0, below); None: any value.
        may_miss: whether rows may be null.
    """

    wanted: str
    fits: Callable[[pa.DataType], bool]
    below: int | None = None
    may_miss: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a table must be: its rows, its columns, and columns that it may have."""

    num_rows: int
    columns: dict[str, Column]
    optional: frozenset[str] = frozenset()

    @cached_property
    def required(self) -> set[str]:
        """The columns that it must have."""
        return self.columns.keys() - self.optional


def tables_of(manifest: Manifest) -> dict[str, Table]:
    """Every table of the store, by name."""
    users, items = manifest.num_users, manifest.num_items
    of_users, of_items = _lists_below(users), _lists_below(items)
    tables = {f"ids/{kind}": Table(num_rows=rows, columns={"id": _ID}) for kind, rows in _sides(manifest)}
    for split in SPLITS:
        columns = {"user": _numbers(pa.int32(), users), "item": _numbers(pa.int32(), items)}
        timed = {**columns, "timestamp": _numbers(pa.int64(), None)}
        rows = manifest.num_interactions.get(split, -1)
        tables[f"interactions/{split}"] = Table(num_rows=rows, columns=timed, optional=frozenset({"timestamp"}))
    tables["graph/user_item"] = Table(num_rows=users, columns={"neighbors": of_items})
    tables["graph/item_user"] = Table(num_rows=items, columns={"neighbors": of_users})
    counted = {"neighbors": of_users, "counts": _lists_below(None)}
    tables["graph/user_cooccurrence"] = Table(num_rows=users, columns=counted)
    for name, info in manifest.modalities.items():
        tables[f"features/{name}"] = Table(num_rows=items, columns={"feature": _feature(info)})
    return tables


def refuse_manifest(manifest: Manifest, where: str) -> None:
    """Refuses the manifest of the store at `where` if its numbers contradict each other.

    Raises:
        UserError: it is damaged, or was edited.
    """
    problem = problem_of_manifest(manifest)
    if problem:
        raise UserError(f"{where}/{MANIFEST} is damaged ({problem}); {AGAIN}")


def problem_of_manifest(manifest: Manifest) -> str | None:
    """What contradicts what; None: nothing."""
    for name, number, most in (
        ("num_users", manifest.num_users, _MOST_ROWS),
        ("num_items", manifest.num_items, _MOST_ROWS),
        ("rows_per_shard", manifest.rows_per_shard, _LARGEST),
    ):
        if not 1 <= number <= most:
            return f"{name} is {number}"
    for name, info in manifest.modalities.items():
        if not 1 <= info.dimension <= _MOST_ROWS or info.dtype not in _DTYPES[info.kind]:
            return f"modality {name!r} has {info.dimension} numbers of type {info.dtype!r}"
    tables = tables_of(manifest)
    if unknown := manifest.tables.keys() - tables.keys():
        return f"it names a table {min(unknown)!r} that no store has"
    for name, table in tables.items():
        if problem := _problem_of_shards(manifest.table(name), name, table.num_rows, manifest.rows_per_shard):
            return problem
    return None


def _problem_of_shards(shards: tuple[ShardInfo, ...], name: str, num_rows: int, rows_per_shard: int) -> str | None:
    left = num_rows
    for index, shard in enumerate(shards):
        if shard.file != shard_file(name, index):
            return f"it names {shard.file!r} where {shard_file(name, index)!r} comes next"
        rows = min(left, rows_per_shard)
        if shard.rows != rows or rows < 1:
            return f"{shard.file} has {shard.rows} rows, by the number of rows and rows_per_shard it should be {rows}"
        left -= rows
    return f"the shards of {name} have {num_rows - left} rows, it says {num_rows}" if left else None


def _sides(manifest: Manifest) -> tuple[tuple[str, int], ...]:
    return ("users", manifest.num_users), ("items", manifest.num_items)


def _is_id(type_: pa.DataType) -> bool:
    text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return pa.types.is_integer(type_) or any(is_text(type_) for is_text in text)


_ID = Column(wanted="whole numbers or texts", fits=_is_id)


def _numbers(type_: pa.DataType, below: int | None) -> Column:
    return Column(wanted=str(type_), fits=lambda other: other == type_, below=below)


def _lists_below(below: int | None, may_miss: bool = False) -> Column:
    return Column(wanted="large_list<int32>", fits=_is_int32_lists, below=below, may_miss=may_miss)


def _is_int32_lists(type_: pa.DataType) -> bool:
    return pa.types.is_large_list(type_) and type_.value_type == pa.int32()


def _feature(info: ModalityInfo) -> Column:
    if info.kind == "tokens":
        return _lists_below(info.dimension, may_miss=True)
    number = pa.float16() if info.dtype == "float16" else pa.float32()

    def fits(type_: pa.DataType) -> bool:
        is_vector = pa.types.is_fixed_size_list(type_) and type_.list_size == info.dimension
        return is_vector and type_.value_type == number

    return Column(wanted=f"fixed_size_list<{info.dtype}>[{info.dimension}]", fits=fits, may_miss=True)
