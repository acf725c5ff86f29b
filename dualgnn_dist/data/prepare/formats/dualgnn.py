"""`dualgnn`: the files that the code of the DualGNN paper reads.

`train` is an array of pairs (user, item); `valid` and `test` hold lists `user, item, item, ...`. Items are numbered
after the users: an item's id is the number of users plus its row in the features, which are `.npy` or `.pt` files.
Lists and dicts in `.npy` files are pickles; `unpickle` reads them without running what they say. The co-user graph that
this code reads, too, is not wanted: `prepare` counts co-users itself, exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.readers.row_ids import NO_TIMES, RowIds
from dualgnn_dist.data.prepare.formats.readers.tensor import matrix_modality, num_rows, read_matrix
from dualgnn_dist.data.prepare.formats.readers.unpickle import load_npy
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.raw_data import BLOCK_ROWS, SPLIT_CODES, RawData
from dualgnn_dist.data.prepare.reading import refuse_first, required_folder

MAX_ID = 1 << 31


@dataclass(frozen=True, kw_only=True)
class DualGNNOptions:
    """The files in the input folder, and the sizes.

    Args:
        train: pairs of user and item to train on.
        valid: the validation items of every user.
        test: the test items of every user.
        user_items: a dict user -> its training items. Not needed; if given, it must agree with `train`.
        num_users: null takes the smallest item id in the three files, which is right if the item of row 0 occurs.
        num_items: null takes what the features and the interactions need.
    """

    train: str = "train.npy"
    valid: str = "val_full.npy"
    test: str = "test_full.npy"
    user_items: str | None = None
    num_users: int | None = None
    num_items: int | None = None

    def __post_init__(self) -> None:
        for name in ("num_users", "num_items"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}={value} must be at least 1")


@dataclass(frozen=True)
class _Pairs:
    """Users and items [E, 2] of one file, and the row there of every pair; None where it is the pair's own number."""

    path: Path
    values: np.ndarray
    rows: np.ndarray | None = None

    def blocks(self) -> Iterator[tuple[_Pairs, np.ndarray, np.ndarray]]:
        """(a part, its users, its items), one after the other; int64."""
        for start in range(0, len(self.values), BLOCK_ROWS):
            values = self.values[start : start + BLOCK_ROWS].astype(np.int64)
            end = start + len(values)
            rows = np.arange(start, end) if self.rows is None else self.rows[start:end]
            yield _Pairs(self.path, values, rows), values[:, 0], values[:, 1]

    def place(self, row: int) -> str:
        """Where a pair is, in words."""
        return f"{self.path}, row {row if self.rows is None else self.rows[row]}"


@dataclass(frozen=True)
class _Sizes:
    """Users are [0, num_users), items [num_users, num_users + num_items)."""

    num_users: int
    num_items: int
    source: str  # of num_users, in words

    def rows(self, part: _Pairs, users: np.ndarray, items: np.ndarray) -> dict[str, np.ndarray]:
        """The pairs as rows of users and of items. Raises UserError for ids outside of their ranges."""
        source, first, end = f"num_users is {self.source}", self.num_users, self.num_users + self.num_items
        wrong = (users < 0) | (users >= first)
        refuse_first(wrong, part.place, lambda row: f"user {users[row]} is not in [0, {first}); {source}")
        wrong = (items < first) | (items >= end)
        refuse_first(wrong, part.place, lambda row: f"item {items[row]} is not in [{first}, {end}); {source}")
        return {"user": users, "item": items - first}


def read_dualgnn(input: str | None, modalities: Mapping[str, str], options: DualGNNOptions) -> RawData:
    """See the module. Raises UserError for files that are missing or malformed, and for ids out of their range."""
    folder = required_folder(input, "dualgnn")
    parts = {
        "train": _pairs(folder / options.train),
        "valid": _lists(folder / options.valid),
        "test": _lists(folder / options.test),
    }
    features = {name: folder / file for name, file in modalities.items()}
    matrices = {name: read_matrix(path) for name, path in features.items()}
    feature_rows = {features[name]: num_rows(features[name], matrix) for name, matrix in matrices.items()}
    sizes = _sizes(options, parts, feature_rows)
    sources = [part.path for part in parts.values()]
    if options.user_items is not None:
        sources.append(folder / options.user_items)
        _check_user_items(sources[-1], parts["train"])

    def blocks() -> Iterator[pl.DataFrame]:
        for name, pairs in parts.items():
            for part, users, items in pairs.blocks():
                split = pl.lit(SPLIT_CODES[name], dtype=pl.Int8)
                yield pl.DataFrame(sizes.rows(part, users, items)).with_columns(split=split)

    raw_modalities = {
        name: matrix_modality(features[name], matrix, sizes.num_items) for name, matrix in matrices.items()
    }
    return RawData(
        blocks,
        raw_modalities,
        (*sources, *features.values()),
        ids_are_rows=True,
        num_users=sizes.num_users,
        num_items=sizes.num_items,
        no_times=NO_TIMES.format("dualgnn"),
    )


def _pairs(path: Path) -> _Pairs:
    array = load_npy(path)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iu":
        raise UserError(
            f"{path} must hold whole numbers of shape [interactions, 2], not {array.dtype} {list(array.shape)}"
        )
    return _Pairs(path, array)


def _lists(path: Path) -> _Pairs:
    array = load_npy(path)
    lists: list[Any] = array.tolist() if array.ndim else []
    if not array.ndim or (array.size and array.dtype.kind not in "iuO"):
        raise UserError(f"{path} must hold lists 'user, item, ...', not {array.dtype} {list(array.shape)}")
    users, items, rows = [], [], []
    for row, value in enumerate(lists):
        numbers = _ids(value, f"{path}, row {row}")
        if not numbers:
            raise UserError(f"{path}, row {row}: the list is empty; it must begin with a user")
        users += numbers[:1] * (len(numbers) - 1)
        items += numbers[1:]
        rows += [row] * (len(numbers) - 1)
    return _Pairs(path, np.array([users, items], dtype=np.int64).T, np.array(rows, dtype=np.int64))


def _ids(value: Any, place: str, may_be_set: bool = False) -> list[int]:
    """A list, an array or perhaps a set as ids. Raises UserError where it is none, or holds anything else."""
    value = value.tolist() if isinstance(value, np.ndarray) else value
    if not (isinstance(value, (list, tuple)) or (may_be_set and isinstance(value, (set, frozenset)))):
        raise UserError(f"{place}: there must be a list of ids, not {type(value).__name__}")
    for number in value:
        if type(number) is not int or not 0 <= number < MAX_ID:
            what = repr(number) if isinstance(number, (int, float, str)) else f"a {type(number).__name__}"
            raise UserError(f"{place}: {what[:40]} is not a whole number in [0, {MAX_ID})")
    return list(value)


def _sizes(options: DualGNNOptions, parts: dict[str, _Pairs], feature_rows: dict[Path, int]) -> _Sizes:
    limits = [(items.min(), items.max()) for pairs in parts.values() for _, _, items in pairs.blocks()]
    if not limits:
        raise UserError(f"{parts['train'].path} and the files beside it have no interactions")
    lowest, highest = (int(bound) for bound in (min(low for low, _ in limits), max(high for _, high in limits)))
    ids = RowIds.within((pairs.path for pairs in parts.values()), feature_rows.values())
    limit = ids.end + (options.num_users or (0 if lowest >= ids.end else lowest))
    for pairs in parts.values():
        for part, _, items in pairs.blocks():
            refuse_first(items >= limit, part.place, partial(_too_large, ids, items))
    source = "that of prepare.options; items are numbered after the users"
    num_users = options.num_users
    if num_users is None:
        num_users, source = lowest, "the smallest item id; set prepare.options.num_users if that is wrong"
    if options.num_items is None:
        return _Sizes(num_users, max(highest - num_users + 1, *feature_rows.values(), 1), source)
    for path, rows in feature_rows.items():
        if rows > options.num_items:
            raise UserError(f"{path} has {rows} item rows, but prepare.options.num_items is {options.num_items}")
    return _Sizes(num_users, options.num_items, source)


def _too_large(ids: RowIds, items: np.ndarray, row: int) -> str:
    return ids.words("item", items[row])


def _dictionary(path: Path) -> dict[int, Any]:
    array = load_npy(path)
    value = array.item() if array.dtype == np.dtype(object) and array.ndim == 0 else None
    if not isinstance(value, dict):
        raise UserError(f"{path} must hold one dict of users, not {array.dtype} {list(array.shape)}")
    _ids(list(value), f"{path}, users")
    return value


def _check_user_items(path: Path, train: _Pairs) -> None:
    no_keys = np.empty(0, dtype=np.int64)
    lists = {user: _ids(items, f"{path}, user {user}", may_be_set=True) for user, items in _dictionary(path).items()}
    dict_keys = np.concatenate([no_keys, *(_keys([user], items) for user, items in lists.items())])
    train_keys = np.concatenate([no_keys, *(_keys(users, items) for _, users, items in train.blocks())])
    for keys, has, lacks in (
        (np.setdiff1d(dict_keys, train_keys), path, train.path),
        (np.setdiff1d(train_keys, dict_keys), train.path, path),
    ):
        if len(keys):
            user, item = divmod(int(keys[0]), MAX_ID)
            raise UserError(
                f"{has} says that user {user} has item {item}, {lacks} does not ({len(keys)} such pairs); leave out "
                f"prepare.options.user_items, or give the dict of the training interactions"
            )


def _keys(users: np.ndarray | list[int], items: np.ndarray | list[int]) -> np.ndarray:
    return np.asarray(users, dtype=np.int64) * MAX_ID + np.asarray(items, dtype=np.int64)
